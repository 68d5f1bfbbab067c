"""The progress of a verb that works for more than a moment, on standard error."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from bench.measuring.progress import ProgressEvent

__all__ = ["TerminalProgress", "resumable", "tell"]

#: Seconds between two lines about the same work.
_EVERY_S = 5.0
#: Work that may take more than two seconds, and so is announced.
_LONG = frozenset({"train", "download", "measure", "install", "wait", "device"})
#: Exit status after Ctrl-C, as shells have it.
_INTERRUPTED = 130


class TerminalProgress:
    """A sink that tells of what is done."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, event: ProgressEvent) -> None:
        """Print what a person should hear of `event`."""
        now = time.monotonic()
        if event.kind == "note":
            tell(event.text)
        elif event.state == "failed" or (event.state == "started" and event.kind in _LONG):
            tell(f"{event.kind} {event.task} {event.state}")
        elif event.state == "update" and now - self._last >= _EVERY_S:
            tell(f"{event.kind} {event.task} {event.text}")
        else:
            return
        self._last = now


def tell(text: str) -> None:
    """Print a line of progress."""
    from bench.core.text import one_line

    print(f"bench: {one_line(text.rstrip())}", file=sys.stderr, flush=True)


@contextmanager
def resumable(state: Callable[[], str]) -> Iterator[None]:
    """End the program properly after Ctrl-C or SIGTERM: with what it started, and what is done.

    `state` says what is done and how to go on.
    """
    # Whoever ends the program politely must not leave its builder and devices behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        tell(f"interrupted: {state()}")
        raise typer.Exit(_INTERRUPTED) from None
