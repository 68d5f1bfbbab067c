"""How much memory something takes at its height, even where it gives all of it back."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["PeakMemory"]

_PROCESS = Path("/proc/self")


class PeakMemory:
    """Bytes of resident memory of this process beyond what there was when this was made."""

    def __init__(self) -> None:
        # "5" sets the kernel's high-water mark back to what is resident now: proc(5).
        (_PROCESS / "clear_refs").write_text("5", encoding="utf-8")
        self._before = _high_water()

    def risen(self) -> int:
        """How far it has risen since."""
        return _high_water() - self._before


def _high_water() -> int:
    status = (_PROCESS / "status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None, status
    return int(found[1]) << 10
