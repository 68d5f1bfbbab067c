"""Every Python process under `make coverage` loads this at start, by PYTHONPATH.

The product ends its servers with SIGKILL, and coverage writes what it has seen when a process ends
in good order. So what has been seen is written before each answer as well.
"""

from __future__ import annotations

from multiprocessing import connection
from typing import Any


def _saving() -> None:
    from coverage import Coverage

    send = connection.Connection.send_bytes

    def saved_first(self: Any, *arguments: Any, **named: Any) -> None:
        running = Coverage.current()
        if running is not None:
            running.save()
        send(self, *arguments, **named)

    connection.Connection.send_bytes = saved_first  # type: ignore[method-assign]


_saving()
