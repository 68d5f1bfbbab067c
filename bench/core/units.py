"""Units of sizes, in bytes."""

from __future__ import annotations

__all__ = ["KIB", "MIB"]

#: A kibibyte.
KIB = 1024
#: A mebibyte.
MIB = 1 << 20
