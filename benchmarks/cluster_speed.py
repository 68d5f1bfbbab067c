"""What a cluster costs: the overhead of a cell, the client's memory, and how well it scales.

    python -m benchmarks.cluster_speed [--cells 10000] [--workers 2] [--scaling 1 2 4 8]

Jobs, dispatcher, driver, scheduler and workers are those of `bench run --cluster local:N`; only the
cells do nothing: they sleep. So a machine with few cores tells as much as one with many.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distributed import Client, Future

from bench.cluster.crew import capacity_of, wait_for_crew
from bench.cluster.dispatch import Dispatcher
from bench.cluster.driving import Driver
from bench.cluster.identity import Identity, identity_here
from bench.cluster.jobs import Job, jobs_of
from bench.cluster.outcomes import Outcomes
from bench.cluster.places import Local, connected
from bench.core.errors import BenchError
from bench.core.fingerprint import read_source_tree
from bench.plan.config import parse_config
from bench.plan.grid import make_plan
from bench.plan.work import StepKind, work_of
from benchmarks.json_file import add_json_option, write_json
from benchmarks.peak_memory import peak_bytes

#: About the size of a record of a small network.
_RECORD = b"x" * 20_000
_PLACE, _START_S = 0.2, 120.0
_CELLS_A_WORKLOAD = 8


@dataclass(frozen=True)
class Measured:
    """One run of sleeping cells."""

    cells: int
    workers: int
    sleep_s: float
    jobs: int
    #: From the first job to the last record.
    seconds: float
    #: What all cells took on their workers; on a busy machine a sleep is longer than it should be.
    slept_s: float

    @property
    def overhead_ms(self) -> float:
        """What a cell took of a worker besides its sleep, in milliseconds."""
        return 1000 * (self.seconds * self.workers - self.slept_s) / self.cells

    @property
    def efficiency(self) -> float:
        """The share of the workers' time in which cells slept."""
        return self.slept_s / (self.workers * self.seconds)


def asleep(cells: tuple[str, ...], seconds: float) -> tuple[dict[str, bytes], float]:
    """The task: sleep for each cell, and give records, and how long that took."""
    began = time.perf_counter()
    records = {}
    for cell in cells:
        time.sleep(seconds)
        records[cell] = _RECORD
    return records, time.perf_counter() - began


class Sleeping:
    """What the driver's jobs are for; see `bench.cluster.driving.Work`."""

    def __init__(
        self, client: Client, identity: Identity, outcomes: Outcomes, sleep_s: float
    ) -> None:
        self._client = client
        self._identity = identity
        self._outcomes = outcomes
        self._sleep_s = sleep_s
        self.slept_s = 0.0

    def capacity(self) -> Mapping[str, int]:
        """How many tasks can run at once."""
        return capacity_of(self._client, self._identity, ())

    def submit(self, job: Job) -> Future[Any]:
        """Give Dask a batch."""
        return self._client.submit(
            asleep,
            tuple(cell.id for cell in job.cells),
            self._sleep_s,
            resources={self._identity.resource(job.seat): 1},
            pure=False,
        )

    def finished(self, job: Job, result: tuple[dict[str, bytes], float]) -> BenchError | None:
        """Keep what came back."""
        records, seconds = result
        self.slept_s += seconds
        for cell, record in records.items():
            self._outcomes.put(cell, record)
        return None

    def given_up(self, job: Job, error: BenchError) -> None:
        """A failure would make the figures worthless."""
        raise error

    def unneeded(self, job_id: str) -> None:
        """Nothing is held."""


def measure(cells: int, workers: int, sleep_s: float) -> Measured:
    """The time of so many sleeping cells on so many workers, which have started before."""
    text = '[grid]\nmacs = [32, 64, 128, 256]\nmemory_modes = ["Shared_Sram", "Sram_Only"]\n'
    text += "".join(
        f'[workloads.net{number}]\nmodel = "net.tflite"\n'
        for number in range(cells // _CELLS_A_WORKLOAD)
    )
    config = parse_config(text, Path("bench.toml"))
    work = work_of(config, make_plan(config))
    expected = {
        id_: round(1000 * sleep_s) if step.kind is StepKind.MEASURE else 0
        for id_, step in work.steps.items()
    }
    identity = identity_here(read_source_tree())
    with (
        tempfile.TemporaryDirectory() as directory,
        connected(Local(workers), {}, Path(directory) / "cache") as client,
    ):
        wait_for_crew(client, identity, 120)
        deadline = time.monotonic() + _START_S
        while capacity_of(client, identity, ())[""] < workers:
            if time.monotonic() > deadline:
                sys.exit(
                    "not all workers have started; were the bench's sources changed meanwhile?"
                )
            time.sleep(_PLACE)
        place = Path(directory) / "records"
        place.mkdir()
        began = time.perf_counter()
        jobs = jobs_of(work, work.plan.cells, expected, workers={"": workers}, seated=())
        sleeping = Sleeping(client, identity, Outcomes(place), sleep_s)
        Driver(client, Dispatcher(jobs), sleeping).run()
        seconds = time.perf_counter() - began
        assert len(list(place.iterdir())) == len(work.plan.cells)
    return Measured(len(work.plan.cells), workers, sleep_s, len(jobs), seconds, sleeping.slept_s)


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--cells", type=int, default=10_000, help="of 10 ms each")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scaling", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--each", type=int, default=16, help="cells of 1 s for each worker")
    add_json_option(parser)
    options = parser.parse_args()
    small = measure(options.cells, options.workers, 0.01)
    peak_mib = peak_bytes() / 2**20
    print(
        f"{small.cells:,} cells of 10 ms on {small.workers} workers: {small.seconds:.1f} s in "
        f"{small.jobs} jobs, {small.overhead_ms:.2f} ms a cell more; client and scheduler "
        f"{peak_mib:.0f} MiB"
    )
    scaled = []
    for workers in options.scaling:
        found = measure(workers * options.each, workers, 1.0)
        scaled.append(found)
        print(
            f"{found.cells} cells of 1 s on {workers} workers: {found.seconds:.1f} s, "
            f"efficiency {found.efficiency:.3f}"
        )
    results: dict[str, Any] = {
        "small": {**asdict(small), "overhead_ms": small.overhead_ms, "peak_mib": peak_mib},
        "scaled": [{**asdict(one), "efficiency": one.efficiency} for one in scaled],
    }
    write_json(options.json, results)


if __name__ == "__main__":
    main()
