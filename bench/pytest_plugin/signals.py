"""SIGTERM and SIGHUP end a run like Ctrl-C: with its reports."""

from __future__ import annotations

import signal
import threading
from types import FrameType

__all__ = ["StopOnSignals"]

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class StopOnSignals:
    """Makes the signals raise `KeyboardInterrupt` in the main thread; a plugin of pytest.

    A signal that is ignored (`nohup`) stays ignored, and an existing handler stays in place.
    """

    def __init__(self) -> None:
        self._received = ""
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

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._received = signal.Signals(number).name
        raise KeyboardInterrupt(self._received)
