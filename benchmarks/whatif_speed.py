"""What a what-if costs: `bench whatif` with its defaults, from an empty cache.

`python -m benchmarks.whatif_speed MODELS` asks of each model what seven points on four MAC counts
would gain, one model a core at a time. The exit status is 1 if the promise is broken: the five
models of MLPerf Tiny and Arm's zoo in at most two minutes on two cores. It is judged in processor
time, so that a busy machine does not matter: 48 s a model.
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

#: Seconds of processor time for a model: two cores, each for two minutes, for five models.
PROMISE_S = 48.0


@dataclass(frozen=True)
class Cost:
    """What one model took."""

    model: str
    points: int
    cells: int
    #: Of processor time, of all its processes.
    seconds: float
    #: By the clock.
    wall: float
    #: The same command again, from the cache; of processor time.
    again_seconds: float


def cost_of(model: Path) -> Cost:
    with tempfile.TemporaryDirectory(prefix="whatif-speed-") as cache:
        first, wall, answer = timed(model, cache)
        again, _, same = timed(model, cache)
    if answer != same:
        raise SystemExit(f"{model}: the second answer is not the first")
    found = json.loads(answer)
    return Cost(model.stem, len(found["points"]), len(found["cells"]), first, wall, again)


def timed(model: Path, cache: str) -> tuple[float, float, str]:
    """The seconds of `bench whatif`, of processor time and by the clock, and its answer."""
    command = [sys.executable, "-m", "bench.cli", "whatif", str(model), "--cache", cache]
    start = time.monotonic()
    with subprocess.Popen([*command, "--format", "json"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        answer = process.stdout.read().decode()
        # What this process and those that it waited for have used.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{model}: bench whatif ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - start, answer


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
    with ThreadPoolExecutor(arguments.processes) as pool:
        costs = list(pool.map(cost_of, models))
    rows = [
        (
            each.model,
            each.points,
            each.cells,
            *(f"{seconds:.1f} s" for seconds in (each.seconds, each.wall, each.again_seconds)),
        )
        for each in costs
    ]
    print(table(("model", "points", "cells", "processor", "clock", "again"), rows))
    whole, most = sum(each.seconds for each in costs), PROMISE_S * len(models)
    print(f"\nall: {whole:.0f} s of processor time, at most {most:.0f} s")
    write_json(arguments.json, {"seconds": whole, "costs": costs})
    return 0 if whole <= most else 1


if __name__ == "__main__":
    sys.exit(main())
