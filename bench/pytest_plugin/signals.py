"""SIGTERM and SIGHUP end a run like Ctrl-C: with its reports."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

__all__ = ["StopOnSignals"]

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class StopOnSignals:
    """Makes the signals raise `KeyboardInterrupt` in the main thread; a plugin of pytest.

    A signal that is ignored (`nohup`) stays ignored, and an existing handler stays in place.
    """

    def __init__(self) -> None:
        self._received = ""
        self._reporting = False
        self._taken: list[signal.Signals] = []
        if threading.current_thread() is threading.main_thread():
            self._taken = [n for n in _SIGNALS if signal.getsignal(n) is signal.SIG_DFL]
        for number in self._taken:
            signal.signal(number, self._interrupt)

    def restore(self) -> None:
        """Undo it."""
        for number in self._taken:
            signal.signal(number, signal.SIG_DFL)

    def pytest_runtest_logstart(self) -> None:
        """Stop before the next test, if the exception was lost."""
        # Python drops one that is raised in a finaliser or in a callback of the garbage collector.
        if self._received:
            raise KeyboardInterrupt(self._received)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        """Let the reports be written. A signal that comes meanwhile only changes the status."""
        before, self._reporting = self._received, True
        try:
            return (yield)
        finally:
            self._reporting = False
            if self._received != before:
                session.exitstatus = pytest.ExitCode.INTERRUPTED

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._received = signal.Signals(number).name
        if not self._reporting:
            raise KeyboardInterrupt(self._received)
