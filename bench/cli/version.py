"""`bench version`."""

from __future__ import annotations

from bench import __version__

__all__ = ["version"]


def version() -> None:
    """Print the bench's version."""
    print(__version__)
