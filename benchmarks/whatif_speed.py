"""What a what-if costs: `bench whatif` with its defaults, from an empty cache.

`python -m benchmarks.whatif_speed MODELS` asks of each model what seven points on four MAC counts
would gain, one model a core at a time. It prints the seconds of each by the clock and of all. The
exit status is 1 if the promise is broken: the five models of MLPerf Tiny and Arm's zoo in at most
two minutes on two cores, so 24 s a model.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.json_file import add_json_option, write_json
from benchmarks.markdown import table
from benchmarks.model_files import add_models_argument, model_files

#: Seconds by the clock for a model, on two cores.
PROMISE_S = 24.0


@dataclass(frozen=True)
class Cost:
    """What one model took."""

    model: str
    points: int
    cells: int
    seconds: float
    #: The same command again, from the cache.
    again_seconds: float


def cost_of(model: Path) -> Cost:
    with tempfile.TemporaryDirectory(prefix="whatif-speed-") as cache:
        first, answer = timed(model, cache)
        again, same = timed(model, cache)
    if answer != same:
        raise SystemExit(f"{model}: the second answer is not the first")
    found = json.loads(answer)
    return Cost(model.stem, len(found["points"]), len(found["cells"]), first, again)


def timed(model: Path, cache: str) -> tuple[float, str]:
    """The seconds of `bench whatif`, and its answer."""
    command = [sys.executable, "-m", "bench.cli", "whatif", str(model), "--cache", cache]
    start = time.monotonic()
    done = subprocess.run(
        [*command, "--format", "json"], stdout=subprocess.PIPE, text=True, check=True
    )
    return time.monotonic() - start, done.stdout


def main() -> int:
    """Returns 1 if the promise is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_models_argument(parser)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    add_json_option(parser)
    arguments = parser.parse_args()
    models = model_files(parser, arguments.models)
    start = time.monotonic()
    with ThreadPoolExecutor(arguments.processes) as pool:
        costs = list(pool.map(cost_of, models))
    whole = time.monotonic() - start
    first = whole - sum(each.again_seconds for each in costs) / arguments.processes
    rows = [
        (each.model, each.points, each.cells, f"{each.seconds:.1f}", f"{each.again_seconds:.1f}")
        for each in costs
    ]
    print(table(("model", "points", "cells", "seconds", "again"), rows))
    most = PROMISE_S * len(models)
    print(f"\nall: {first:.0f} s on {arguments.processes} cores, at most {most:.0f} s on two")
    write_json(arguments.json, {"seconds": first, "costs": costs})
    return 0 if first <= most else 1


if __name__ == "__main__":
    sys.exit(main())
