"""The most memory that this process has held."""

from __future__ import annotations

from pathlib import Path

__all__ = ["peak_bytes"]


def peak_bytes() -> int:
    """Since its program began, in bytes: VmHWM of proc(5).

    What getrusage says is no less than what the process held that started this one.
    """
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) * 1024
    raise OSError("/proc/self/status does not tell the peak of the memory")
