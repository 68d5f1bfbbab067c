"""The life of a worker: it runs the cases it is told until there are no more, or one ends it.

Reads case numbers from standard input, one a line; writes a JSON line when it starts a case and
one with the outcome. A case that computes for too long ends the process with a traceback, so that
nothing a case does goes unnoticed or stays unexplained.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from enum import Enum
from typing import Any, Protocol, TypeVar

from tests.fuzz.execution import Outcome

__all__ = ["serve"]


class _Case(Protocol):
    @property
    def description(self) -> str: ...


_AnyCase = TypeVar("_AnyCase", bound=_Case)


def serve(
    make: Callable[[int], _AnyCase],
    category_of: Callable[[_AnyCase], Enum],
    execute: Callable[[_AnyCase], Outcome],
    limit_s: float,
) -> None:
    """Run the cases that standard input asks for, at most `limit_s` processor seconds each."""
    # What the code under test prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)

    def say(**message: Any) -> None:
        answers.write(json.dumps(message) + "\n")

    # Ctrl-C reaches the whole process group; the campaign ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The traceback, then the signal's own effect: the end of the process. What counts is time on
    # the processor, so that a busy machine makes no case a hang.
    faulthandler.register(signal.SIGPROF, chain=True)
    for line in sys.stdin:
        number = int(line)
        case = make(number)
        say(number=number, category=category_of(case).value, description=case.description)
        signal.setitimer(signal.ITIMER_PROF, limit_s)
        outcome = execute(case)
        signal.setitimer(signal.ITIMER_PROF, 0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        say(outcome=asdict(outcome), peak_bytes=peak)
