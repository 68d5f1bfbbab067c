"""The longest time that the bench may wait for anything."""

from __future__ import annotations

__all__ = ["LONGEST_WAIT_S"]

#: A week, in seconds. System calls that wait for a file descriptor accept at most 24 days.
LONGEST_WAIT_S = 7 * 24 * 3600
