"""The work of a run cut into tasks, and which of them start: everything once, in order, in time."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cluster.dispatch import Dispatcher
from bench.cluster.jobs import GENERAL, LONGEST_MS, Job, JobKind, jobs_of
from bench.cluster.seats import SEATED, parse_seats
from bench.core.errors import ConfigError
from bench.plan.cell import Cell
from bench.plan.config import parse_config
from bench.plan.expected import expected_times
from bench.plan.grid import base_of, make_plan
from bench.plan.work import StepKind, Work, work_of

ALL = ("sim", "vela", "fvp", "mps3")
WORKLOAD = """
[workloads.net{number}]
recipe = "mnist_fc"
[workloads.net{number}.variants]
base = {{ method = "train", epochs = 1 }}
pruned = {{ method = "prune", epochs = 1 }}
[workloads.net{number}.variants.both]
method = "cluster"
parent = "pruned"
clusters = 16
epochs = 1
"""


def planned(targets: Iterable[str] = ALL, workloads: int = 1) -> tuple[Work, dict[str, int]]:
    """The work of a grid of 24 cells for each workload and target, and its expected times."""
    names = ", ".join(f'"{name}"' for name in targets)
    text = (
        f"[grid]\nmacs = [32, 64, 128, 256]\ntargets = [{names}]\n"
        'memory_modes = ["Shared_Sram", "Sram_Only"]\n'
    )
    text += "".join(WORKLOAD.format(number=number) for number in range(workloads))
    config = parse_config(text, Path("bench.toml"))
    work = work_of(config, make_plan(config))
    return work, {id_: time.milliseconds for id_, time in expected_times(config, work).items()}


def with_bases(work: Work) -> tuple[Cell, ...]:
    return tuple(dict.fromkeys(one for cell in work.plan.cells for one in (base_of(cell), cell)))


def cut(
    work: Work, expected: Mapping[str, int], workers: Mapping[str, int], made: Iterable[str] = ()
) -> tuple[Job, ...]:
    return jobs_of(
        work, with_bases(work), expected, workers=workers, seated=SEATED, made=tuple(made)
    )


def test_every_cell_is_in_one_job_and_every_variant_is_trained_once() -> None:
    work, expected = planned(workloads=3)
    jobs = cut(work, expected, {"": 4, "fvp": 2, "mps3": 1})
    measured = Counter(cell for job in jobs if job.kind is JobKind.CELLS for cell in job.cells)
    assert measured == dict.fromkeys(with_bases(work), 1)
    trained = Counter(job.step.id for job in jobs if job.step is not None)
    steps = [step.id for step in work.steps.values() if step.kind is StepKind.TRAIN]
    assert trained == dict.fromkeys(steps, 1)
    before: set[str] = set()
    for job in jobs:
        assert before.issuperset(job.needs), job
        before.add(job.id)


def test_a_seat_is_taken_by_its_target_alone_and_waits_for_no_compiler() -> None:
    work, expected = planned()
    jobs = cut(work, expected, {"": 4, "fvp": 2, "mps3": 1})
    known = {job.id: job for job in jobs}
    for job in jobs:
        targets = {cell.target for cell in job.cells} if job.kind is JobKind.CELLS else set()
        if job.seat == GENERAL:
            assert not targets & SEATED
            continue
        assert targets == {job.seat}
        compiled = {
            (cell.family, cell.accelerator, cell.memory_mode)
            for need in job.needs
            if known[need].kind is JobKind.COMPILE
            for cell in known[need].cells
        }
        assert compiled >= {(c.family, c.accelerator, c.memory_mode) for c in job.cells}


def test_families_that_wait_for_no_training_share_batches() -> None:
    work, expected = planned(["vela"], workloads=50)
    expected = dict.fromkeys(expected, 5)
    made = [step.id for step in work.steps.values() if step.kind is StepKind.TRAIN]
    jobs = cut(work, expected, {"": 2}, made)
    assert len(jobs) < len(work.plan.cells) / 100
    for job in jobs:
        assert {f"train:{cell.family}" for cell in job.cells} == set(job.needs)


def test_batches_are_short_and_hold_one_family() -> None:
    work, expected = planned(workloads=4)
    jobs = cut(work, expected, {"": 2, "fvp": 2, "mps3": 1})
    for job in jobs:
        if job.step is None:
            assert len({cell.family for cell in job.cells}) == 1
            assert job.milliseconds <= LONGEST_MS or len(job.cells) == 1


def test_what_the_client_has_is_not_trained_nor_what_it_was_made_from() -> None:
    work, expected = planned(["sim"])
    made = ["train:net0-both", "train:net0-base"]
    jobs = cut(work, expected, {"": 4}, made)
    assert [job.step.id for job in jobs if job.step is not None] == ["train:net0-pruned"]
    only_both = [cell for cell in work.plan.cells if cell.variant == "both"]
    jobs = jobs_of(work, only_both, expected, workers={"": 4}, seated=SEATED, made=made)
    assert all(job.step is None for job in jobs)
    assert {need for job in jobs for need in job.needs} == {"train:net0-both"}


def run_through(
    jobs: Iterable[Job], capacity: Mapping[str, int], seconds: Mapping[str, float]
) -> tuple[float, list[str]]:
    """The real dispatcher under a fake clock: the makespan, and the order of the ends."""
    dispatcher = Dispatcher(jobs)
    now, order = 0.0, []
    running: list[tuple[float, str]] = []
    known: dict[str, Job] = {}
    while not dispatcher.finished:
        for job in dispatcher.start(capacity):
            known[job.id] = job
            heapq.heappush(running, (now + seconds[job.id], job.id))
        for seat, count in capacity.items():
            assert sum(known[id_].seat == seat for _, id_ in running) <= count
        now, id_ = heapq.heappop(running)
        dispatcher.done(known[id_])
        order.append(id_)
    return now, order


#: Machines, FVP seats and boards of a team's night.
NIGHT = {"": 20, "fvp": 10, "mps3": 3}


@pytest.mark.parametrize(
    ("fvp_ms", "board_ms"),
    [(2_000, 5_000), (1_200, 400), (300, 100), (20, 20)],
    ids=["boards decide", "all alike", "machines decide", "only machines"],
)
def test_a_night_of_ten_thousand_cells_ends_near_the_lower_bound(
    fvp_ms: int, board_ms: int
) -> None:
    """20 machines, 10 seats, 3 boards. Times differ from what was expected, as they do."""
    work, expected = planned(workloads=105)
    assert len(work.plan.cells) > 10_000
    for id_, step in work.steps.items():
        if step.kind is StepKind.MEASURE and step.cell.target in SEATED:
            expected[id_] = {"fvp": fvp_ms, "mps3": board_ms}[step.cell.target]
    jobs = cut(work, expected, NIGHT)
    random = Random(1)
    seconds = {job.id: job.milliseconds / 1000 * random.uniform(0.7, 1.4) for job in jobs}
    makespan, _ = run_through(jobs, NIGHT, seconds)
    loads = dict.fromkeys(NIGHT, 0.0)
    ends: dict[str, float] = {}
    for job in jobs:
        loads[job.seat] += seconds[job.id]
        ends[job.id] = seconds[job.id] + max((ends[need] for need in job.needs), default=0.0)
    bound = max(*(loads[seat] / NIGHT[seat] for seat in NIGHT), max(ends.values()))
    assert makespan <= 1.15 * bound


@settings(max_examples=60, deadline=None)
@given(
    workers=st.integers(1, 5), fvp=st.integers(1, 3), boards=st.integers(1, 2), seed=st.integers()
)
def test_nothing_starts_before_what_it_needs(
    workers: int, fvp: int, boards: int, seed: int
) -> None:
    work, expected = planned()
    capacity = {"": workers, "fvp": fvp, "mps3": boards}
    jobs = cut(work, expected, capacity)
    random = Random(seed)
    _, order = run_through(jobs, capacity, {job.id: random.random() for job in jobs})
    places = {id_: place for place, id_ in enumerate(order)}
    assert len(order) == len(jobs)
    assert all(places[need] < places[job.id] for job in jobs for need in job.needs)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers())
def test_whatever_fails_every_job_ends_once(seed: int) -> None:
    """Jobs are lost, killed, and cut into single cells; what waits for a failed one is told."""
    work, expected = planned()
    capacity = {"": 3, "fvp": 2, "mps3": 1}
    jobs = cut(work, expected, capacity)
    dispatcher = Dispatcher(jobs)
    random = Random(seed)
    running: list[Job] = []
    ended: Counter[Cell] = Counter()
    released: Counter[str] = Counter()
    while not dispatcher.finished:
        running += dispatcher.start(capacity)
        job = running.pop(random.randrange(len(running)))
        happens = random.random()
        unneeded: list[str] = []
        if happens < 0.2:
            dispatcher.again(job)
        elif happens < 0.3 and job.kind is JobKind.CELLS and len(job.cells) > 1:
            dispatcher.split(job)
        elif happens < 0.4:
            lost, unneeded = dispatcher.failed(job)
            for one in (job, *lost):
                ended.update(one.cells if one.kind is JobKind.CELLS else ())
        else:
            unneeded = dispatcher.done(job)
            ended.update(job.cells if job.kind is JobKind.CELLS else ())
        released.update(unneeded)
    assert ended == dict.fromkeys(with_bases(work), 1)
    assert not dispatcher.open
    assert dispatcher.running == len(running) == 0
    # What was held for others is let go.
    products = {job.id for job in jobs if job.kind is not JobKind.CELLS}
    assert released.keys() >= products


def test_seats_are_counted_or_refused() -> None:
    assert parse_seats("") == {}
    assert parse_seats("fvp=2,mps3=1") == {"fvp": 2, "mps3": 1}
    for wrong in ("fvp", "fvp=two", "sim=3", "board=1"):
        with pytest.raises(ConfigError, match="--seats"):
            parse_seats(wrong)
