"""A run that has nothing left to do ends, whatever its last steps wait for."""

from __future__ import annotations

import atexit
import signal
from collections.abc import Iterator

import pytest

from bench.core.processes.garbage import few_collections

__all__ = ["BoundedEnd"]

#: Seconds that the reports may take, and that the interpreter may take to end after them.
_REPORTS_S, _EXIT_S = 300, 60


class BoundedEnd:
    """Lets the kernel end the controller if it does not end by itself; a plugin of pytest.

    At the end of a run, and again when the interpreter exits, execnet starts a thread for each
    worker and waits for its answer without a bound. If the thread cannot be started, because no
    memory is left, the answer never comes. SIGALRM needs no memory and no thread.
    """

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Iterator[None]:
        """Bound the reports and the end of the workers."""
        signal.alarm(_REPORTS_S)
        try:
            with few_collections():
                return (yield)
        finally:
            signal.alarm(0)
            # Registered last, so called first.
            atexit.register(signal.alarm, _EXIT_S)
