"""What a large grid costs whose products are all in the cache, compared with empty tests.

    python -m benchmarks.large_grid --cells 1000                # with a test for each figure
    python -m benchmarks.large_grid --cells 10000 --judge cells # without

Each workload is the same small network of one dense layer, under a name of its own, on four
accelerators in two memory modes. So the names, the records and the verdicts are those of `--cells`
cells. Compiled and measured were eight of them, in a run before. Every cell looks its products up
in the cache, as any warm cell does.

The promise is 1.3 times the processor time of as many empty tests of pytest, run in the same way:
workers, options, JUnit file. By cells, 10,000 take 60 s on two cores that have nothing else to do,
and no process holds more than 1,000 MiB. Grids of 2,000 cells and more are judged by cells without
the empty tests, which would take longer. The exit status is 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.dense_network import dense_network
from benchmarks.json_file import add_json_option, write_json

#: Relative to empty tests, however cells are judged; and seconds by the clock, seconds of processor
#: time, and MiB of the largest process, for so many cells on two cores.
TESTS_RATIO, CELLS_S, CELLS_CPU_S, CELLS_MIB, CELLS = 1.3, 60.0, 90.0, 1_000.0, 10_000
#: From here on, cells are not compared with empty tests.
ALONE = 2_000
#: Cells of a workload, and tests of a cell and of a sweep of four cells.
EACH, CELL_TESTS, SWEEP_CELLS = 8, 8, 4
_GRID = """
[grid]
macs = [32, 64, 128, 256]
memory_modes = ["Shared_Sram", "Sram_Only"]
targets = ["sim"]
"""
_WORKLOAD = """
[workloads.{name}]
model = "net.tflite"
limits = [{{ metric = "npu_cycles", max = 1_000_000 }}]
"""
_EMPTY = """
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_nothing(number):
    pass
"""


@dataclass(frozen=True)
class Cost:
    """What a command and all that it started took."""

    wall: float
    #: Of all processes, in seconds.
    cpu: float
    #: The most that one process held, in MiB.
    peak: float


def timed(command: list[str], directory: Path) -> Cost:
    """Run `command`, which must succeed, in a process of its own that watches it."""
    watch = (
        "import resource, subprocess, sys, time\n"
        "start = time.monotonic()\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "sys.stdout.buffer.write(done.stdout[-3000:])\n"
        "print()\n"
        "print(time.monotonic() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)\n"
        "sys.exit(done.returncode)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", watch, *command],
        cwd=directory,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    wall, cpu, peak = map(float, done.stdout.split()[-3:])
    return Cost(wall, cpu, peak)


def write_grid(directory: Path, workloads: int) -> Path:
    """A configuration of so many workloads of the same network."""
    path = directory / f"grid{workloads}.toml"
    names = (_WORKLOAD.format(name=f"net{i}") for i in range(workloads))
    path.write_text(_GRID + "".join(names), encoding="utf-8")
    return path


def bench(config: Path, judge: str, workers: int) -> list[str]:
    """The command of a run."""
    return [
        *(sys.executable, "-m", "bench.cli", "run", "--judge", judge, f"--bench-config={config}"),
        f"--bench-cache={config.parent / 'cache'}",
        f"--bench-results={config.parent / 'results'}",
        *("-n", str(workers), "-p", "no:cacheprovider", "--no-bench-ci"),
    ]


def empty(directory: Path, count: int, workers: int) -> list[str]:
    """The command of as many tests that do nothing."""
    path = directory / "test_empty.py"
    path.write_text(_EMPTY.format(count=count), encoding="utf-8")
    return [
        *(sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(directory)),
        *("-n", str(workers), "--import-mode=importlib", "-p", "no:cacheprovider"),
        *("-p", "no:hypothesispytest", "-p", "no:labgrid"),
        *(f"--junitxml={directory / 'empty.xml'}", str(path)),
    ]


def main() -> int:
    """Returns 1 if a promise is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=1_000)
    parser.add_argument("--judge", choices=("tests", "cells"), default="tests")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1, help="the best of so many runs counts")
    add_json_option(parser)
    arguments = parser.parse_args()
    workloads, workers = -(-arguments.cells // EACH), arguments.workers
    cells = workloads * EACH
    tests = cells * CELL_TESTS + cells // SWEEP_CELLS
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        weights = np.random.default_rng(1).integers(-127, 128, (10, 32), dtype=np.int8)
        (directory / "net.tflite").write_bytes(dense_network([weights]))
        timed(bench(write_grid(directory, 1), "cells", workers), directory)
        config = write_grid(directory, workloads)
        commands = {f"bench run --judge {arguments.judge}": bench(config, arguments.judge, workers)}
        if arguments.judge == "tests" or cells < ALONE:
            commands["empty tests"] = empty(directory, tests, workers)
        # In turns, so that both have the same machine.
        costs = [
            {name: timed(command, directory) for name, command in commands.items()}
            for _ in range(arguments.repeats)
        ]
    best = {name: min((one[name] for one in costs), key=lambda c: c.cpu) for name in commands}
    print(f"{cells:,} cells, {tests:,} tests, {workers} processes")
    for name, cost in best.items():
        print(
            f"{name}: {cost.wall:.1f} s, {cost.cpu:.1f} s of processor time, "
            f"{1000 * cost.cpu / cells:.2f} ms a cell, largest process {cost.peak:,.0f} MiB"
        )
    run, *rest = best.values()
    nothing = rest[0] if rest else None
    ratio = None if nothing is None else run.cpu / nothing.cpu
    if ratio is not None:
        print(f"ratio of the processor times: {ratio:.2f}")
    found = [] if ratio is None or ratio <= TESTS_RATIO else [f"{TESTS_RATIO} x empty tests"]
    if arguments.judge == "cells":
        found += broken(run, cells)
    print(f"broken: at most {', '.join(found)}" if found else "all promises are kept")
    results = {"cells": cells, "run": run, "empty": nothing, "ratio": ratio, "broken": found}
    write_json(arguments.json, results)
    return int(bool(found))


def broken(run: Cost, cells: int) -> list[str]:
    """The promises by cells that `run` does not keep. Fewer cells may take as much as 10,000."""
    share = max(1.0, cells / CELLS)
    kept = {
        f"{CELLS_S * share:,.0f} s": run.wall <= CELLS_S * share,
        f"{CELLS_CPU_S * share:,.0f} s of processor time": run.cpu <= CELLS_CPU_S * share,
        f"{CELLS_MIB * share:,.0f} MiB": run.peak <= CELLS_MIB * share,
    }
    return [promise for promise, is_kept in kept.items() if not is_kept]


if __name__ == "__main__":
    sys.exit(main())
