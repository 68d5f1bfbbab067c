"""A worker of `python -m tests.fuzz`, with a limit on its memory. See `tests.fuzz.serving`."""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

from tests.fuzz.cases import make_case
from tests.fuzz.execution import execute
from tests.fuzz.guards import guarded
from tests.fuzz.seeds import load_seeds
from tests.fuzz.serving import serve

__all__ = ["main"]

#: Bytes that a case may allocate beyond what the process has at its start.
MEMORY_BYTES = 1 << 30


def main(seeds_directory: str, seed: str, limit_s: str) -> None:
    """Run cases of the campaign `seed`, at most `limit_s` seconds of processor time each."""
    seeds = load_seeds(Path(seeds_directory))
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with tempfile.TemporaryDirectory() as directory, guarded():
        serve(
            lambda number: make_case(seeds, int(seed), number),
            lambda case: case.category,
            lambda case: execute(case, Path(directory)),
            float(limit_s),
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
