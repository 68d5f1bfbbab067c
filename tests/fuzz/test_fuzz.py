"""Damaged artefacts: 6,000 of them end in a result or a `BenchError`, and soon; in CI 2,000.

The same cases every time. `make fuzz` goes on from here for as long as it is given; a case is run
again with `python -m tests.fuzz --seed N --case M`.
"""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from targets.simulator.execution.memory import MemoryMap, RegionInfo
from targets.simulator.simulator import InnerLoops, Simulator
from tests.fuzz.campaign import SIMULATOR, run_campaign
from tests.fuzz.cases import Case, Category, make_case
from tests.fuzz.execution import execute
from tests.fuzz.guards import OutOfRegionError, guarded
from tests.fuzz.seeds import Seed, build_seeds, load_seeds

pytestmark = pytest.mark.slow

SEED = 1
CASES = 6_000
#: Shares of the work. Each starts a process of its own, which reads the seeds.
BATCHES = 3
#: Seconds of processor time from which on a case counts as a hang.
LIMIT_S = 15.0
#: At least so many of a batch in each category, and so many that get through to a result.
LEAST = {Category.STREAM: 800, Category.FILE: 400, Category.WEIGHTS: 200, Category.GRAPH: 200}
LEAST_RESULTS = 40


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fuzz")
    build_seeds(path)
    return path


@pytest.fixture(scope="module")
def seeds(directory: Path) -> tuple[Seed, ...]:
    return load_seeds(directory)


def intact(seed: Seed) -> Case:
    return Case(0, Category.FILE, seed.name, seed.suffix, seed.data)


@pytest.mark.parametrize(
    "batch",
    [pytest.param(batch, marks=pytest.mark.long if batch else ()) for batch in range(BATCHES)],
)
def test_thousands_of_damaged_artefacts(batch: int, directory: Path) -> None:
    cases = range(batch * CASES // BATCHES, (batch + 1) * CASES // BATCHES)
    report = run_campaign(SIMULATOR, directory, SEED, iter(cases), jobs=1, limit_s=LIMIT_S)
    assert not report.findings, str(report)
    assert report.cases == len(cases)
    totals: Counter[str] = Counter()
    for (category, _), count in report.verdicts.items():
        totals[category] += count
    for category, least in LEAST.items():
        assert totals[category.value] >= least
        # Mutants that are all refused at the door would test nothing but the door.
        assert report.verdicts[category.value, "result"] >= LEAST_RESULTS
    assert report.verdicts[Category.STREAM.value, "StreamError"] >= LEAST_RESULTS


def test_the_seeds_run(seeds: tuple[Seed, ...], tmp_path: Path) -> None:
    with guarded():
        for seed in seeds:
            outcome = execute(intact(seed), tmp_path)
            assert (outcome.verdict, outcome.finding) == ("result", ""), seed.name


def test_a_case_is_the_same_everywhere(seeds: tuple[Seed, ...]) -> None:
    for number in range(50):
        assert make_case(seeds, 7, number) == make_case(seeds, 7, number)


def test_the_guard_sees_what_the_checks_let_through(
    seeds: tuple[Seed, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the simulator's own check of addresses gone, the guard is what is left.

    It watches NumPy's arrays; machine code goes wherever an address points.
    """
    monkeypatch.setattr(MemoryMap, "check", lambda self, index, *_, **__: self.regions[index])
    seen = 0
    with guarded():
        for number in range(400):
            case = make_case(seeds, SEED, number)
            if case.category is Category.STREAM:
                verdict = execute(case, tmp_path, (InnerLoops.NUMPY,)).verdict
                seen += verdict == OutOfRegionError.__name__
    assert seen >= 5


def test_the_guard_sees_slices_that_numpy_would_bend(
    seeds: tuple[Seed, ...], tmp_path: Path
) -> None:
    from targets.simulator import graph

    layout = MemoryMap({1: RegionInfo(64, None, 0, 32)})
    with guarded():
        memory = vars(graph)["Memory"](layout, {0: np.zeros((2, 128), np.uint8)}, 2)
        assert memory[1][:, 0:64].shape == (2, 64)
        for piece in (slice(-8, -4), slice(60, 65), slice(8, 4)):
            with pytest.raises(OutOfRegionError):
                memory[1][:, piece]


def test_a_hang_and_a_crash_are_charged_to_their_case(
    directory: Path, seeds: tuple[Seed, ...], tmp_path: Path
) -> None:
    """No case can start and end within no time at all: the worker's timer ends it."""
    report = run_campaign(SIMULATOR, directory, SEED, iter([3]), jobs=1, limit_s=1e-6)
    (finding,) = report.findings
    assert finding.number == 3
    assert f"--seed {SEED} --case 3" in str(finding)
    assert f"status {-signal.SIGPROF}" in finding.what
    assert "execution.py" in finding.what, "where it was"


def test_a_row_that_depends_on_its_neighbour_is_found(
    seeds: tuple[Seed, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Simulator.run

    def leaking(self, inputs):  # type: ignore[no-untyped-def]
        result = original(self, inputs)
        result.outputs[0][:] += len(inputs[0])
        return result

    monkeypatch.setattr(Simulator, "run", leaking)
    assert "depends" in execute(intact(seeds[0]), tmp_path).finding
