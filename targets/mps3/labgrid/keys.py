"""The name of a board behind labgrid, for leases and quarantines on this machine."""

from __future__ import annotations

import re

__all__ = ["key_of"]


def key_of(place: str) -> str:
    """File-name safe. A place is a board: whatever is measured on it, it has one lock."""
    return re.sub(r"[^A-Za-z0-9]+", "-", f"labgrid-{place}")
