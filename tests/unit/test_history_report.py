"""The history's tables: what a reader finds in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.history.rows import rows_of_run
from bench.history.series import Selection
from bench.history.steps import find_steps, is_noisy
from bench.history.store import HistoryStore
from bench.records.record import Record, Status, UnmeasuredRecord
from bench.report.history import (
    SeriesView,
    overview_table,
    runs_table,
    series_json,
    series_table,
)
from bench.report.table import render
from targets.protocol import Source
from tests.support.history import CELL, changed, manifest, run_rows, with_cycles
from tests.support.records import dense_layer_record


@pytest.fixture(scope="module")
def record() -> Record:
    return dense_layer_record("base")


@pytest.fixture
def store(tmp_path: Path) -> HistoryStore:
    return HistoryStore(tmp_path / "history.sqlite")


def view(store: HistoryStore, metric: str = "npu_cycles") -> SeriesView:
    [series] = store.series(metric, CELL, Selection())
    return SeriesView(series, find_steps(series.points), is_noisy(series.points))


def lines(store: HistoryStore, metric: str = "npu_cycles", limit: int = 20) -> list[str]:
    return render(series_table(view(store, metric), limit), 200).splitlines()


def test_an_exact_step_stands_in_its_run_with_all_that_changed(
    store: HistoryStore, record: Record
) -> None:
    newer = changed(with_cycles(record, 1100), "compilation", vela_version="5.3.0")
    store.append(run_rows(1, [record], commit="a" * 40))
    store.append(run_rows(2, [newer], commit="b" * 40, dirty=True, host="other"))
    title, _, _, _, before, after, *more = lines(store)
    assert title.startswith(f"npu_cycles of {CELL} (estimate; exact: every change is a step)")
    assert "1,000 cycles" in before
    assert "->" not in before
    for part in ("2026-11-03 03:00", "run-0002", "bbbbbbbbbb+", "1,100 cycles", "+10.00%"):
        assert part in after
    text = "".join([after, *more])
    assert "Vela: version 5.2.0 -> 5.3.0" in text
    assert "commit aaaaaaaaaa -> bbbbbbbbbb+" in text
    assert "host h -> other" in text


def test_a_step_in_noise_is_shown_with_its_levels(store: HistoryStore, record: Record) -> None:
    board = changed(record, "measurement", source=Source.BOARD)
    for number in range(24):
        cycles = 10_000 + 7 * (number % 3) + 1000 * (number >= 12)
        store.append(run_rows(number, [with_cycles(board, cycles)], commit=f"{number:040d}"))
    found = lines(store, limit=0)
    assert "noisy: steps are changes of level" in found[0]
    assert "board" in found[0]
    stepped = [line for line in found if "10,007 cycles -> 11,007 cycles (+9.99%)" in line]
    assert len(stepped) == 1
    assert "run-0012" in stepped[0]
    [row] = [
        line for line in render(overview_table([view(store)]), 200).splitlines() if CELL in line
    ]
    assert "24" in row
    assert "2026-11-13 03:00" in row


def test_the_last_runs_are_shown_and_the_others_counted(
    store: HistoryStore, record: Record
) -> None:
    for number in range(5):
        store.append(run_rows(number, [with_cycles(record, 1000 + number // 4)]))
    text = "\n".join(lines(store, limit=2))
    assert [name in text for name in ("run-0002", "run-0003", "run-0004")] == [False, True, True]
    assert "3 earlier runs are not shown; --limit 0 shows all" in text
    assert "+0.10%" in text
    assert "run-0000" in "\n".join(lines(store, limit=0))


def test_what_is_missing_is_shown_with_its_reason(store: HistoryStore, record: Record) -> None:
    lost = UnmeasuredRecord(
        cell=record.cell, status=Status.UNAVAILABLE, error="E", reason="no board is attached"
    )
    store.append(run_rows(1, [record], complete=False))
    store.append(rows_of_run("run-2", manifest(2), [], [lost], complete=True))
    text = "\n".join(lines(store))
    assert "- (UNAVAILABLE: no board is attached)" in text
    assert "run-0001 (incomplete)" in text
    assert "- (this target has no such counter)" in "\n".join(lines(store, "axi0_read_beats"))


def test_a_figure_that_was_0_has_a_difference_and_no_share(
    store: HistoryStore, record: Record
) -> None:
    for number, operators in enumerate(((), ("Softmax",))):
        one = changed(record, "compilation", cpu_operators=operators)
        store.append(run_rows(number, [one]))
    assert any(
        "1 operator" in line and "+1 operator" in line for line in lines(store, "cpu_operators")
    )
    [step] = view(store, "cpu_operators").steps
    assert step.relative is None


def test_a_step_without_a_known_reason_says_so(store: HistoryStore, record: Record) -> None:
    for number in (1, 2):
        store.append(run_rows(number, [with_cycles(record, number)], commit="a" * 40))
    assert any("nothing changed that the records know of" in line for line in lines(store))


def test_runs_are_listed_with_where_they_were_made(store: HistoryStore, record: Record) -> None:
    store.append(run_rows(1, [record], branch="trunk"))
    text = render(runs_table(store.runs(Selection())), 200)
    for part in ("run-0001", "trunk", "1 of 1", "5.2.0", "https://ci/1"):
        assert part in text


def test_json_has_every_run_and_every_step(store: HistoryStore, record: Record) -> None:
    for number in range(30):
        store.append(run_rows(number, [with_cycles(record, 1000 + number // 10)]))
    [document] = json.loads(json.dumps(series_json([view(store)])))
    assert set(document) == {"metric", "cell", "unit", "noisy", "points", "steps"}
    assert len(document["points"]) == 30
    assert [(s["index"], s["run"], s["before"], s["after"]) for s in document["steps"]] == [
        (10, "run-0010", 1000, 1001),
        (20, "run-0020", 1001, 1002),
    ]
