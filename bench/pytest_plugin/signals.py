"""SIGTERM and SIGHUP end a run like Ctrl-C: with its reports."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

__all__ = ["stop_on_signals"]

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def stop_on_signals() -> Callable[[], None]:
    """Make the signals raise `KeyboardInterrupt` in the main thread; returns what undoes this.

    A signal that is ignored (`nohup`) stays ignored, and an existing handler stays in place.
    """
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    taken = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL]

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    for number in taken:
        signal.signal(number, interrupt)

    def restore() -> None:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)

    return restore
