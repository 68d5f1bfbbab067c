"""Signals delayed for a moment, in which an interruption would lose what is being made.

A signal mask is not enough. It belongs to one thread, and the kernel gives a signal to any thread
that does not block it, such as one of a numeric library. Python then runs its handler in the main
thread, whatever is masked there. So the handlers are exchanged instead.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

__all__ = ["STOPPING", "SignalsHeldBack"]

#: The signals that ask a process to end.
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalsHeldBack:
    """Delays signals until the block ends. A context manager.

    In other threads than the main one, where Python handles no signals, it does nothing.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        self._numbers = numbers if threading.current_thread() is threading.main_thread() else ()
        #: Signal -> the handler that it has outside.
        self._handlers: dict[signal.Signals, Any] = {}
        self._came: list[int] = []

    def __enter__(self) -> SignalsHeldBack:
        try:
            self._hold()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    @contextlib.contextmanager
    def let_through(self) -> Iterator[None]:
        """Let signals come within this inner block: those that waited, and new ones."""
        self._release()
        try:
            yield
        finally:
            self._hold()

    def _hold(self) -> None:
        for number in self._numbers:
            handler = signal.getsignal(number)
            # What is ignored stays ignored. None: a handler that Python cannot restore.
            if handler is not None and handler is not signal.SIG_IGN:
                self._handlers[number] = handler
                signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came.append(number)

    def _release(self) -> None:
        try:
            while self._handlers:
                number, handler = next(iter(self._handlers.items()))
                signal.signal(number, handler)
                del self._handlers[number]
        finally:
            # A signal came as soon as its handler was back; the others get theirs all the same.
            if self._handlers:
                self._release()
        came, self._came = self._came, []
        for one in came:
            signal.raise_signal(one)
