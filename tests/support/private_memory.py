"""What processes hold in memory of their own: neither files that they map, nor what they share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["MemoryWatch", "watching_memory"]

#: Seconds between two looks. What goes through a large file holds what it holds far longer.
_PERIOD_S = 0.01


class MemoryWatch:
    """The most that any process below another held at once, since the watch began."""

    def __init__(self, root: int) -> None:
        self._root = root
        #: Process id -> bytes.
        self.peaks: dict[int, int] = {}

    @property
    def largest(self) -> int:
        """The most that any one process held, in bytes."""
        return max(self.peaks.values(), default=0)

    def look(self) -> None:
        waiting = [self._root]
        while waiting:
            pid = waiting.pop()
            try:
                held, children = _private_bytes(pid), _children(pid)
            except (OSError, ProcessLookupError):
                continue
            self.peaks[pid] = max(self.peaks.get(pid, 0), held)
            waiting += children


@contextmanager
def watching_memory(root: int) -> Iterator[MemoryWatch]:
    """Watch process `root`, and whatever it starts, while the block runs."""
    watch, ended = MemoryWatch(root), threading.Event()

    def look() -> None:
        while not ended.wait(_PERIOD_S):
            watch.look()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()


def _private_bytes(pid: int) -> int:
    """Anonymous memory in use, and that part of it which was swapped out."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    rows = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return sum(int(rows[name].split()[0]) << 10 for name in ("RssAnon", "VmSwap") if name in rows)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found
