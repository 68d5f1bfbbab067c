"""What `bench.toml` says of the board: the table `[targets.mps3]`."""

from __future__ import annotations

from bench.schema import StrictModel

__all__ = ["Mps3Settings"]


class Mps3Settings(StrictModel):
    """How the board is found and driven."""
