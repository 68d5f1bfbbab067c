"""What `bench.toml` says of the FVP: the table `[targets.fvp]`."""

from __future__ import annotations

from bench.schema import StrictModel

__all__ = ["FvpSettings"]


class FvpSettings(StrictModel):
    """How the FVP is found and run."""
