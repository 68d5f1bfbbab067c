"""A worker of `python -m tests.fuzz.inputs`. See `tests.fuzz.serving`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.fuzz.inputs.cases import execute, make_case
from tests.fuzz.inputs.seeds import load_seeds
from tests.fuzz.serving import serve

__all__ = ["main"]


def main(seeds_directory: str, seed: str, limit_s: str) -> None:
    """Run cases of the campaign `seed`, at most `limit_s` seconds of processor time each."""
    seeds = load_seeds(Path(seeds_directory))
    with tempfile.TemporaryDirectory() as directory:
        serve(
            lambda number: make_case(seeds, Path(directory) / "case", int(seed), number),
            lambda case: case.entrance,
            execute,
            float(limit_s),
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
