"""Units of figures."""

from __future__ import annotations

__all__ = ["KIB"]

#: Bytes of a kibibyte.
KIB = 1024
