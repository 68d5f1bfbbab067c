"""`bench cells`: the grid of a configuration."""

from __future__ import annotations

from pathlib import Path

from bench.cli.options import ConfigFile

__all__ = ["cells"]


def cells(config: ConfigFile = Path("bench.toml")) -> None:
    """List the cells of the grid, one id per line."""
    from bench.plan.config import load_config
    from bench.plan.grid import make_plan

    for cell in make_plan(load_config(config)).cells:
        print(cell.id)
