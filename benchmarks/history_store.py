"""What the history costs: a query, an append, and two writers at once, with many rows in the store.

`python -m benchmarks.history_store` fills a store with at least `--rows` figures (a grid of 24
cells, run after run) and then prints, in milliseconds:

- a query: the series of one metric of one cell with its steps, from opening the file to the end, in
  processor time;
- the same for a pattern that all cells fit;
- an append of a run, for each of its cells, by the clock, because it waits for the disk;
- the same while a second process appends to the same store.

The exit status is 1 if a promise is broken: a query takes at most 100 ms, and an append at most
10 ms for each cell, alone or beside another writer, which loses nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from bench.history.rows import CellRow, FigureRow, FigureSource, RunRow, RunRows
from bench.history.series import Selection
from bench.history.steps import find_steps, is_noisy
from bench.history.store import HistoryStore
from bench.plan.cell import Cell
from bench.plan.metrics import MetricName, describe
from bench.records.provenance import Provenance
from bench.records.record import CellIdentity
from bench.records.run import Revision, Surroundings
from benchmarks.json_file import add_json_option, write_json
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode

#: Milliseconds that a query may take, and an append for each cell.
QUERY_MS, APPEND_MS = 100.0, 10.0
CELLS = [
    Cell("network", variant, accelerator, mode, "sim")
    for variant, accelerator, mode in product(
        ("base", "pruned", "clustered"), Accelerator, MemoryMode
    )
]
#: Runs that a writer appends.
RUNS = 20


def made_run(writer: str, number: int) -> RunRows:
    """A run of all cells, one of which became slower in every fiftieth run."""
    level = 90_000 + 500 * (number // 50)
    provenance = Provenance(
        data={"name": "d", "test_sha256": "0" * 64},
        training={"seed": "1", "version.tensorflow": "2.21.0"},
        quantisation={"model_sha256": "1" * 64},
        vela={"version": f"5.{number // 50}.0", "options": "--optimise Performance"},
    )
    figures = tuple(
        FigureRow(metric.value, float(level), describe(metric).unit, FigureSource.SIMULATED)
        for metric in MetricName
    )
    cells = tuple(
        CellRow(
            CellIdentity.of(cell),
            "measured",
            model_origin="trained",
            model_sha256="1" * 64,
            data_sha256="0" * 64,
            vela_version="5.2.0",
            provenance=provenance,
            figures=figures,
        )
        for cell in CELLS
    )
    surroundings = Surroundings(revision=Revision(commit=f"{number:040x}", branch="main"))
    run = RunRow(f"{writer}-{number}", f"{number}", "h", number, True, len(CELLS), surroundings)
    return RunRows(run, cells)


def append_runs(store: HistoryStore, writer: str, start: int) -> float:
    """Append `RUNS` runs, and return the milliseconds for each cell."""
    runs = [made_run(writer, start + i) for i in range(RUNS)]
    taken = _milliseconds(lambda: [store.append(run) for run in runs], time.perf_counter)
    return taken / (RUNS * len(CELLS))


@dataclass(frozen=True)
class Costs:
    """Milliseconds."""

    rows: int
    file_mib: float
    query: float
    pattern_query: float
    append: float
    #: The slower of two writers at once.
    append_beside: float
    #: Runs that should be in the store and are not.
    lost: int

    @property
    def kept(self) -> bool:
        """Whether all promises are."""
        queries = max(self.query, self.pattern_query)
        appends = max(self.append, self.append_beside)
        return queries <= QUERY_MS and appends <= APPEND_MS and not self.lost


def measure(path: Path, rows: int) -> Costs:
    """Fill the store at `path` with `rows` rows and use it."""
    store = HistoryStore(path)
    per_run = len(CELLS) * len(MetricName)
    filled = -(-rows // per_run)
    for number in range(filled):
        store.append(made_run("fill", number))
    cell = CELLS[len(CELLS) // 2].id
    one = _cost_of_query(store, cell)
    many = _cost_of_query(store, "network-*")
    alone = append_runs(store, "alone", filled)
    beside = _two_writers(store, filled + RUNS)
    there = len(store.runs(Selection()))
    return Costs(
        rows=filled * per_run,
        file_mib=path.stat().st_size / (1 << 20),
        query=one,
        pattern_query=many,
        append=alone,
        append_beside=beside,
        lost=filled + 3 * RUNS - there,
    )


def _cost_of_query(store: HistoryStore, pattern: str) -> float:
    """The best of five, in processor time: others on the machine do not count."""
    return min(_milliseconds(lambda: _query(store, pattern), time.process_time) for _ in range(5))


def _query(store: HistoryStore, pattern: str) -> None:
    for series in store.series("npu_cycles", pattern, Selection()):
        assert not is_noisy(series.points)
        find_steps(series.points)


def _two_writers(store: HistoryStore, start: int) -> float:
    """The cost of the slower of two processes that append at the same time."""
    command = [sys.executable, "-m", "benchmarks.history_store", "--writer", str(store.path)]
    writers = [
        subprocess.Popen(
            [*command, f"{name}", "--start", str(start)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("left", "right")
    ]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
    # Both have loaded everything and begin now.
    return max(float(writer.communicate("\n")[0]) for writer in writers)


def _write(path: Path, name: str, start: int) -> int:
    print("ready", flush=True)
    sys.stdin.readline()
    print(append_runs(HistoryStore(path), name, start))
    return 0


def _milliseconds(work: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    work()
    return 1000 * (clock() - start)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000, help="rows in the store")
    parser.add_argument("--writer", nargs=2, metavar=("FILE", "NAME"), help=argparse.SUPPRESS)
    parser.add_argument("--start", type=int, default=0, help=argparse.SUPPRESS)
    add_json_option(parser)
    arguments = parser.parse_args()
    if arguments.writer is not None:
        return _write(Path(arguments.writer[0]), arguments.writer[1], arguments.start)
    with tempfile.TemporaryDirectory() as directory:
        costs = measure(Path(directory) / "history.sqlite", arguments.rows)
    print(f"{costs.rows:,} figures, {costs.file_mib:.1f} MiB")
    print(f"query of one cell                   {costs.query:8.2f} ms")
    print(f"query of all {len(CELLS)} cells               {costs.pattern_query:8.2f} ms")
    print(f"append, for each cell               {costs.append:8.2f} ms")
    print(f"append beside another, for each cell{costs.append_beside:8.2f} ms")
    print(f"runs lost                           {costs.lost:5}")
    print("" if costs.kept else "BROKEN PROMISE")
    write_json(arguments.json, {**vars(costs), "kept": costs.kept})
    return 0 if costs.kept else 1


if __name__ == "__main__":
    sys.exit(main())
