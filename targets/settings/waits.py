"""How long anything may be waited for."""

from __future__ import annotations

__all__ = ["LONGEST_WAIT_S"]

#: A week, in seconds. What waits for a file descriptor takes no more than 24 days.
LONGEST_WAIT_S = 7 * 24 * 3600
