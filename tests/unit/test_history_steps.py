"""Steps in series: every change where nothing is left to chance, changes of level where it is."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.history.causes import is_retrained
from bench.history.rows import RunRows, rows_of_run
from bench.history.series import Point, Selection
from bench.history.steps import find_steps, is_noisy, noisy_breaks
from bench.history.store import HistoryStore
from bench.records.record import Record, Status, UnmeasuredRecord
from targets.protocol import Source
from tests.support.history import CELL, changed, manifest, run_rows, with_cycles
from tests.support.records import dense_layer_record


def points(path: Path, runs: Sequence[RunRows], metric: str = "npu_cycles") -> tuple[Point, ...]:
    store = HistoryStore(path / "history.sqlite")
    for rows in runs:
        store.append(rows)
    [series] = store.series(metric, CELL, Selection())
    return series.points


@pytest.fixture(scope="module")
def record() -> Record:
    return dense_layer_record("base")


def trained(record: Record, model: str, seed: int = 1) -> Record:
    """`record` as of a trained network whose weights came out as `model`."""
    made = {"seed": str(seed), "float_sha256": model, "quantise.calibration_images": "200"}
    return changed(record, "model", origin="trained", sha256=model, provenance=made)


def on_board(record: Record, cycles: float) -> Record:
    return with_cycles(changed(record, "measurement", source=Source.BOARD), round(cycles))


# --- exact series --------------------------------------------------------------------------------


def test_every_change_of_an_exact_series_is_a_step(tmp_path: Path, record: Record) -> None:
    cycles = (1000, 1000, 1001, 1001, 1000, 5)
    runs = [run_rows(i, [with_cycles(record, count)]) for i, count in enumerate(cycles)]
    found = points(tmp_path, runs)
    assert not is_noisy(found)
    steps = find_steps(found)
    assert [(s.index, s.before, s.after) for s in steps] == [
        (2, 1000, 1001),
        (4, 1001, 1000),
        (5, 1000, 5),
    ]
    assert steps[0].relative == pytest.approx(0.001)


def test_a_step_names_the_commit_where_nothing_else_changed(tmp_path: Path, record: Record) -> None:
    runs = [
        run_rows(1, [with_cycles(record, 1)], commit="a" * 40),
        run_rows(2, [with_cycles(record, 2)], commit="b" * 40),
        run_rows(3, [with_cycles(record, 3)], commit="b" * 40, dirty=True),
        run_rows(4, [with_cycles(record, 4)], commit="b" * 40, dirty=True),
    ]
    told = [step.changes for step in find_steps(points(tmp_path, runs))]
    assert told == [
        ("commit aaaaaaaaaa -> bbbbbbbbbb",),
        ("commit bbbbbbbbbb -> bbbbbbbbbb+",),
        ("files changed since commit bbbbbbbbbb",),
    ]


@pytest.mark.parametrize(
    ("part", "update", "words"),
    [
        ("compilation", {"vela_version": "5.0.0"}, "Vela: version 5.2.0 -> 5.0.0"),
        ("data", {"sha256": "f" * 64}, "data: test sha256 000000000000 -> ffffffffffff"),
        ("model", {"sha256": "e" * 64}, "training: file sha256 111111111111 -> eeeeeeeeeeee"),
        ("cell", {"timing": "slow"}, "timing profile: name default -> slow"),
        (
            "measurement",
            {"source": Source.FVP, "provenance": {"fvp": "11.30"}},
            "target: source estimate -> fvp",
        ),
    ],
)
def test_a_step_names_the_tool_or_input_that_changed(
    tmp_path: Path, record: Record, part: str, update: dict[str, object], words: str
) -> None:
    after = changed(with_cycles(record, 2000), part, **update)
    runs = [run_rows(1, [record], commit="c" * 40), run_rows(2, [after], commit="d" * 40)]
    [step] = find_steps(points(tmp_path, runs))
    assert step.changes[0].startswith(words)
    # The commit is told as well; it brought the change, or merely came with it.
    assert step.changes[1] == "commit cccccccccc -> dddddddddd"


def test_a_step_that_nothing_explains_has_no_changes(tmp_path: Path, record: Record) -> None:
    runs = [run_rows(i, [with_cycles(record, i)], commit="a" * 40) for i in (1, 2)]
    [step] = find_steps(points(tmp_path, runs))
    assert step.changes == ()


def test_runs_without_the_figure_are_passed_over(tmp_path: Path, record: Record) -> None:
    lost = changed(record, "measurement", counters={}, unavailable={"NPU_ACTIVE": "broken"})
    runs = [
        run_rows(1, [record], commit="a" * 40),
        run_rows(2, [lost], commit="b" * 40),
        run_rows(3, [with_cycles(record, 7)], commit="c" * 40),
    ]
    [step] = find_steps(points(tmp_path, runs))
    assert (step.index, step.before, step.after) == (2, 1000, 7)
    assert step.changes == ("commit aaaaaaaaaa -> cccccccccc",)


# --- series with noise ---------------------------------------------------------------------------


def test_another_model_of_the_same_recipe_is_noise(tmp_path: Path, record: Record) -> None:
    models = [f"{i:064x}" for i in range(4)]
    runs = [run_rows(i, [trained(record, model)]) for i, model in enumerate(models)]
    found = points(tmp_path, runs)
    assert is_retrained(found[0], found[1])
    assert is_noisy(found)
    assert not is_noisy([found[0], found[0]])


def test_a_run_without_the_cell_makes_no_noise(tmp_path: Path, record: Record) -> None:
    lost = UnmeasuredRecord(
        cell=record.cell, status=Status.INCOMPLETE, error="WorkerDied", reason="it died"
    )
    same = trained(record, "a" * 64)
    runs = [
        run_rows(1, [same]),
        rows_of_run("run-2", manifest(2), [], [lost], complete=True),
        run_rows(3, [with_cycles(same, 1001)]),
    ]
    found = points(tmp_path, runs)
    assert not is_noisy(found)
    assert [step.index for step in find_steps(found)] == [2]


def test_another_recipe_or_another_file_is_no_noise(tmp_path: Path, record: Record) -> None:
    runs = [
        run_rows(1, [trained(record, "a" * 64, seed=1)]),
        run_rows(2, [trained(record, "b" * 64, seed=2)]),
    ]
    recipes = points(tmp_path, runs)
    assert not is_retrained(*recipes)
    assert not is_noisy(recipes)
    files = [changed(record, "model", sha256=letter * 64) for letter in "ab"]
    assert not is_noisy(points(tmp_path / "f", [run_rows(i, [f]) for i, f in enumerate(files)]))


def test_a_board_is_noisy_and_what_the_compiler_gives_is_not(
    tmp_path: Path, record: Record
) -> None:
    store = HistoryStore(tmp_path / "history.sqlite")
    store.append(run_rows(1, [on_board(record, 1000)]))
    kinds = {
        metric: is_noisy(store.series(metric, CELL, Selection())[0].points)
        for metric in ("npu_cycles", "axi1_read_beats", "device_model_kib", "cpu_operators")
    }
    assert kinds == {
        "npu_cycles": True,
        "axi1_read_beats": True,
        "device_model_kib": False,
        "cpu_operators": False,
    }


def test_a_step_in_noise_has_levels_and_a_cause(tmp_path: Path, record: Record) -> None:
    random_ = random.Random(5)
    newer = changed(record, "compilation", vela_version="5.3.0")
    runs = [
        run_rows(i, [on_board(record if i < 12 else newer, level + random_.gauss(0, 10))])
        for i, level in enumerate([10_000] * 12 + [10_100] * 12)
    ]
    [step] = find_steps(points(tmp_path, runs))
    assert step.index == 12
    assert step.before == pytest.approx(10_000, abs=10)
    assert step.after == pytest.approx(10_100, abs=10)
    assert step.changes[0].startswith("Vela: version 5.2.0 -> 5.3.0")


def test_the_cause_is_sought_before_the_noise(tmp_path: Path, record: Record) -> None:
    """Where each run has another model, the new Vela is the cause and not the new model."""
    runs = []
    for i in range(24):
        version = "5.2.0" if i < 12 else "5.3.0"
        model = trained(record, f"{i:064x}")
        one = changed(model, "compilation", vela_version=version)
        runs.append(run_rows(i, [with_cycles(one, 10_000 + i % 3 + 500 * (i >= 12))]))
    [step] = find_steps(points(tmp_path, runs))
    assert step.index == 12
    assert step.changes[0] == "Vela: version 5.2.0 -> 5.3.0"


def test_a_change_with_the_same_model_counts_amid_noise(tmp_path: Path, record: Record) -> None:
    """1 cycle, in a series whose models differ by hundreds; ruptures alone would not see it."""
    random_ = random.Random(1)
    runs = [
        run_rows(i, [with_cycles(trained(record, f"{i:064x}"), 10_000 + random_.randrange(500))])
        for i in range(10)
    ]
    same = trained(record, "f" * 64)
    runs += [run_rows(10, [with_cycles(same, 10_200)]), run_rows(11, [with_cycles(same, 10_201)])]
    steps = find_steps(points(tmp_path, runs))
    assert [(s.index, s.before, s.after) for s in steps] == [(11, 10_200, 10_201)]


def gauss(count: int, seed: int, sigma: float = 1.0) -> list[float]:
    random_ = random.Random(seed)
    return [1000 + random_.gauss(0, sigma) for _ in range(count)]


@pytest.mark.parametrize(("count", "most"), [(8, 0.08), (20, 0.05), (50, 0.02)])
def test_noise_alone_seldom_gives_a_step(count: int, most: float) -> None:
    false = sum(bool(noisy_breaks(gauss(count, seed))) for seed in range(400))
    assert false <= most * 400


def test_a_step_of_four_standard_deviations_is_found_where_it_is() -> None:
    hits = 0
    for seed in range(200):
        values = [v + 4 * (i >= 10) for i, v in enumerate(gauss(20, seed))]
        breaks = noisy_breaks(values)
        hits += len(breaks) == 1 and abs(breaks[0] - 10) <= 1
    assert hits >= 0.93 * 200


def test_outliers_are_no_steps() -> None:
    false = 0
    for seed in range(100):
        values = gauss(30, seed)
        values[7] += 50
        values[20] -= 80
        values[21] -= 80
        false += bool(noisy_breaks(values))
    assert false <= 5


def test_a_new_level_needs_three_runs() -> None:
    for fresh in range(1, 8):
        values = gauss(20, 1)[: 20 - fresh] + [v + 100 for v in gauss(fresh, 2)]
        assert noisy_breaks(values) == ([20 - fresh] if fresh >= 3 else [])


@pytest.mark.parametrize(
    ("values", "breaks"),
    [
        ([], []),
        ([5.0], []),
        ([5.0] * 5, []),
        ([5.0] * 40, []),
        # No noise at all: every change of level, however small.
        ([5.0] * 10 + [5.1] * 10, [10]),
        ([5.0] * 10 + [5.1] * 10 + [5.0] * 10, [10, 20]),
        # A count that is now and then off by one, and then by a hundred.
        ([1000, 1000, 1001, 1000, 1000] * 6, []),
        ([1000, 1000, 1001, 1000, 1000] * 4 + [1100, 1100, 1101, 1100, 1100] * 4, [20]),
        # One outlier in an otherwise still series says nothing of its noise.
        ([1000] * 11 + [2000] + [1000] * 12 + [1010] * 12, [24]),
        # Two machines, by turns.
        ([1000.0, 1030.0] * 12, []),
        ([0.0] * 10 + [1.0] * 10, [10]),
        ([1e300, 1.001e300] * 10, []),
    ],
)
def test_series_as_they_occur(values: list[float], breaks: list[int]) -> None:
    assert noisy_breaks(values) == breaks


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=60),
)
def test_breaks_are_in_order_and_leave_levels_of_three_runs(values: list[float]) -> None:
    breaks = noisy_breaks(values)
    ends = [0, *breaks, len(values)]
    assert ends == sorted(set(ends)) or not values
    if breaks:
        assert all(b - a >= 3 for a, b in pairwise(ends))


@pytest.fixture(scope="module")
def point(record: Record, tmp_path_factory: pytest.TempPathFactory) -> Point:
    [only] = points(tmp_path_factory.mktemp("one"), [run_rows(1, [record])])
    return only


@given(values=st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_the_steps_of_an_exact_series_lead_from_its_first_figure_to_its_last(
    values: list[int], point: Point
) -> None:
    steps = find_steps([replace(point, value=float(value)) for value in values])
    assert len(steps) == sum(a != b for a, b in pairwise(values))
    level: float = values[0]
    for step in steps:
        assert step.before == level != step.after
        level = step.after
    assert level == values[-1]
