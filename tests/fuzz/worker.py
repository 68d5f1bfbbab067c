"""A process that runs cases until it is told to stop, or one of them ends it.

Reads case numbers from standard input, one a line; writes a JSON line when it starts a case and
one with the outcome. Memory is limited, and a case that computes for too long ends the process
with a traceback, so that nothing a case does goes unnoticed or stays unexplained.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.fuzz.cases import make_case
from tests.fuzz.execution import execute
from tests.fuzz.guards import guarded
from tests.fuzz.seeds import load_seeds

__all__ = ["main"]

#: Bytes that a case may allocate beyond what the process has at its start.
MEMORY_BYTES = 1 << 30


def main(seeds_directory: str, seed: str, limit_s: str) -> None:
    """Run cases of the campaign `seed`, at most `limit_s` seconds of processor time each."""
    seeds = load_seeds(Path(seeds_directory))
    # What simulated code prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def say(**message: Any) -> None:
        answers.write(json.dumps(message) + "\n")

    # Ctrl-C reaches the whole process group; the campaign ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The traceback, then the signal's own effect: the end of the process. What counts is time on
    # the processor, so that a busy machine makes no case a hang.
    faulthandler.register(signal.SIGPROF, chain=True)
    with tempfile.TemporaryDirectory() as directory, guarded():
        for line in sys.stdin:
            number = int(line)
            case = make_case(seeds, int(seed), number)
            say(number=number, category=case.category.value, description=case.description)
            signal.setitimer(signal.ITIMER_PROF, float(limit_s))
            outcome = execute(case, Path(directory))
            signal.setitimer(signal.ITIMER_PROF, 0)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
            say(outcome=asdict(outcome), peak_bytes=peak)


if __name__ == "__main__":
    main(*sys.argv[1:])
