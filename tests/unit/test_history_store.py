"""The history's store, on real records: nothing is lost, nothing is twice, and faults are told."""

from __future__ import annotations

import json
import random
import sqlite3
import stat
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.core.errors import BenchError, ConfigError
from bench.history.database import HistoryError, writing
from bench.history.layout import APPLICATION_ID, MIGRATIONS, layout_version, migrate
from bench.history.rows import RunRows, rows_of_run
from bench.history.series import Selection, Series
from bench.history.steps import find_steps, is_noisy
from bench.history.store import HistoryStore
from bench.plan.metrics import MetricName
from bench.records.figures import Absent
from bench.records.metric_values import metric_value
from bench.records.record import Record, Status, UnmeasuredRecord
from bench.report.history import SeriesView, overview_table, runs_table, series_table
from bench.report.table import render
from targets.protocol import Source
from tests.support.history import CELL, changed, manifest, run_rows, with_cycles
from tests.support.records import dense_layer_record

ALL = Selection()
VARIANTS = ("base", "pruned", "clustered")


@pytest.fixture(scope="module")
def record() -> Record:
    return dense_layer_record("base")


@pytest.fixture
def store(tmp_path: Path) -> HistoryStore:
    return HistoryStore(tmp_path / "results" / "history.sqlite")


def the(series: tuple[Series, ...]) -> Series:
    [only] = series
    return only


def values(store: HistoryStore, metric: str, selection: Selection = ALL) -> list[float | None]:
    return [point.value for point in the(store.series(metric, CELL, selection)).points]


def content(path: Path) -> set[tuple[object, ...]]:
    """All that the store says, whatever its numbers are."""
    with closing(sqlite3.connect(path)) as connection:
        return set(
            connection.execute(
                "SELECT runs.name, runs.complete, runs.planned_cells, runs.tools, cells.cell, "
                "cells.outcome, cells.reason, cells.model_sha256, provenances.facts, "
                "figures.metric, figures.value, figures.unit, figures.source, figures.absent "
                "FROM runs LEFT JOIN cells ON cells.run = runs.id "
                "LEFT JOIN provenances ON provenances.id = cells.provenance "
                "LEFT JOIN figures ON figures.cell = cells.id"
            )
        )


def test_every_figure_of_a_record_is_kept_or_has_its_reason(
    store: HistoryStore, record: Record
) -> None:
    store.append(run_rows(1, [record]))
    for metric in MetricName:
        [point] = the(store.series(metric.value, CELL, ALL)).points
        value = metric_value(record, metric)
        if isinstance(value, Absent):
            assert point.value is None
            assert point.absent == (value.reason or "the record gives no reason")
        else:
            assert point.value == value
            assert point.absent == ""


@pytest.mark.parametrize(
    ("metric", "source"),
    [
        (MetricName.DEVICE_MODEL, "compiler"),
        (MetricName.NPU_CYCLES, "estimate"),
        (MetricName.INFERENCE_MS, "estimate"),
        (MetricName.ACTIVE_SHARE, "estimate"),
        (MetricName.MEMORY_WAIT, "estimate"),
        (MetricName.AXI1_READ, "simulated"),
        (MetricName.ACCURACY, "simulated"),
    ],
)
def test_each_figure_says_what_it_is(
    store: HistoryStore, record: Record, metric: MetricName, source: str
) -> None:
    kinds = {"NPU_ACTIVE": "estimate", "AXI1_RD_DATA_BEAT_RECEIVED": "exact"}
    simulated = changed(record, "measurement", source=Source.SIMULATED, kinds=kinds)
    store.append(run_rows(1, [simulated]))
    assert the(store.series(metric.value, CELL, ALL)).points[0].source == source


def test_no_figure_is_labelled_as_something_that_the_bench_does_not_know() -> None:
    """Who adds a metric says here what its figures are on a board."""
    board = changed(dense_layer_record("base"), "measurement", source=Source.BOARD)
    rows = run_rows(1, [board])
    sources: dict[str, set[str]] = {}
    for figure in rows.cells[0].figures:
        sources.setdefault(figure.source.value, set()).add(figure.metric)
    assert sources == {
        "compiler": {
            *("encoded_weights_kib", "encoding_ratio", "device_model_kib", "sram_kib"),
            *("flash_kib", "cpu_operators", "macs"),
        },
        "estimate": {"memory_wait_share"},
        "board": {
            *("accuracy", "reference_mismatches", "npu_cycles", "inference_ms"),
            *("npu_active_share", "axi0_read_beats", "axi0_write_beats", "axi1_read_beats"),
        },
    }


def test_a_run_is_there_once_however_often_it_is_added(store: HistoryStore, record: Record) -> None:
    first = store.append(run_rows(1, [record]))
    before = content(store.path)
    again = store.append(run_rows(1, [record]))
    assert (first.known, again.known) == (False, True)
    assert (again.cells, again.runs) == (1, 1)
    assert content(store.path) == before


def test_runs_of_one_name_on_two_hosts_are_two(store: HistoryStore, record: Record) -> None:
    store.append(run_rows(1, [record], host="a"))
    assert store.append(run_rows(1, [record], host="b")).runs == 2


def test_what_was_added_while_a_run_went_on_is_completed(
    store: HistoryStore, record: Record
) -> None:
    everything = [dense_layer_record(variant) for variant in VARIANTS]
    store.append(run_rows(1, everything[:1], complete=False))
    [run] = store.runs(ALL)
    assert (run.complete, run.measured_cells) == (False, 1)
    store.append(run_rows(1, everything))
    [run] = store.runs(ALL)
    assert (run.complete, run.measured_cells) == (True, 3)
    # Neither is undone by what somebody copied earlier.
    store.append(run_rows(1, everything[:1], complete=False))
    assert store.runs(ALL) == (run,)


def part(number: int, measured: frozenset[str], failed: frozenset[str], whole: bool) -> RunRows:
    """What a run's directory holds at some moment."""
    records = [with_cycles(dense_layer_record(v), 1000 + number) for v in sorted(measured)]
    broken = [
        UnmeasuredRecord(
            cell=dense_layer_record(v).cell, status=Status.INCOMPLETE, error="E", reason="it died"
        )
        for v in sorted(failed)
    ]
    told = manifest(number, cells=VARIANTS)
    return rows_of_run(f"run-{number}", told, records, broken, complete=whole)


PARTS = st.lists(
    st.builds(
        part,
        st.integers(1, 3),
        st.frozensets(st.sampled_from(VARIANTS)),
        st.frozensets(st.sampled_from(VARIANTS)),
        st.booleans(),
    ),
    max_size=6,
)


@given(parts=PARTS, seed=st.randoms(use_true_random=False))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_any_order_gives_the_same_rows_and_none_is_lost(
    parts: Sequence[RunRows], seed: random.Random, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("orders")
    shuffled = [*parts, *parts[:2]]
    seed.shuffle(shuffled)
    one, other = HistoryStore(place / "one"), HistoryStore(place / "other")
    for store, order in ((one, parts), (other, shuffled)):
        store.require_writable()
        for rows in order:
            store.append(rows)
    assert content(one.path) == content(other.path)
    told = {(name, cell, outcome) for name, _, _, _, cell, outcome, *_ in content(one.path)}
    for rows in parts:
        for cell in rows.cells:
            found = {o for n, c, o in told if (n, c) == (rows.run.name, cell.identity.id)}
            assert len(found) == 1
            assert cell.outcome in found or found == {"measured"}


def test_the_series_is_in_the_order_of_time(store: HistoryStore, record: Record) -> None:
    for number in (3, 1, 2):
        store.append(run_rows(number, [with_cycles(record, 1000 + number)]))
    assert values(store, "npu_cycles") == [1001, 1002, 1003]


def test_time_zones_do_not_disturb_the_order(store: HistoryStore, record: Record) -> None:
    zones = {1: "2026-11-02T01:00:00+0300", 2: "2026-11-01T23:00:00+0000"}
    for number, started in zones.items():
        told = manifest(number).model_copy(update={"started": started})
        rows = rows_of_run(f"r{number}", told, [with_cycles(record, number)], (), complete=True)
        store.append(rows)
    assert values(store, "npu_cycles") == [1, 2]
    assert [run.started for run in store.runs(ALL)] == list(zones.values())


def test_branches_and_times_can_be_chosen(store: HistoryStore, record: Record) -> None:
    for number in range(1, 5):
        branch = "main" if number % 2 else "feature"
        store.append(run_rows(number, [with_cycles(record, number)], branch=branch))
    assert values(store, "npu_cycles", Selection(branch="main")) == [1, 3]
    third = store.runs(ALL)[2].started_s
    assert values(store, "npu_cycles", Selection(since_s=third)) == [3, 4]
    assert len(store.runs(Selection(branch="feature", since_s=third))) == 1
    assert store.series("npu_cycles", CELL, Selection(branch="none")) == ()


def test_a_star_finds_many_cells_and_nothing_else_is_special(
    store: HistoryStore, record: Record
) -> None:
    store.append(run_rows(1, [dense_layer_record(variant) for variant in VARIANTS]))
    assert len(store.series("npu_cycles", "w-*-u55_128-*", ALL)) == 3
    assert [s.cell for s in store.series("npu_cycles", "*pruned*", ALL)] == [
        CELL.replace("base", "pruned")
    ]
    for pattern in ("w-bas?-*", "w-[b]ase-*", "W-BASE*"):
        with pytest.raises(ConfigError, match="no run has a cell"):
            store.series("npu_cycles", pattern, ALL)


def test_unknown_names_are_answered_with_the_nearest(store: HistoryStore, record: Record) -> None:
    store.append(run_rows(1, [record]))
    with pytest.raises(ConfigError, match="did you mean 'npu_cycles'"):
        store.series("npu_cycle", CELL, ALL)
    with pytest.raises(ConfigError, match=f"did you mean '{CELL}'"):
        store.series("npu_cycles", CELL.replace("128", "12"), ALL)


def test_a_cell_that_was_not_measured_has_a_point_that_says_why(
    store: HistoryStore, record: Record
) -> None:
    store.append(run_rows(1, [record]))
    lost = UnmeasuredRecord(
        cell=record.cell, status=Status.INCOMPLETE, error="WorkerDied", reason="the process died"
    )
    store.append(rows_of_run("run-2", manifest(2), [], [lost], complete=True))
    _, point = the(store.series("npu_cycles", CELL, ALL)).points
    assert (point.value, point.absent) == (None, "INCOMPLETE: the process died")


def test_forged_figures_are_absent_and_not_an_error(store: HistoryStore, record: Record) -> None:
    report = record.compilation.report
    for number, clock in enumerate((0.0, 1e-308)):
        update = {"report": report.model_copy(update={"core_clock_hz": clock})}
        store.append(run_rows(number, [changed(record, "compilation", **update)]))
    points = the(store.series("inference_ms", CELL, ALL)).points
    assert [point.value for point in points] == [None, None]
    assert "0 Hz" in points[0].absent
    assert "no finite number" in points[1].absent


def test_a_manifest_without_a_time_is_one_message(record: Record) -> None:
    told = manifest(1).model_copy(update={"started": "yesterday\x1b[2J"})
    with pytest.raises(BenchError, match=r"started: 'yesterday\\x1b\[2J' is not a time"):
        rows_of_run("r", told, [record], (), complete=True)


def test_sql_reads_the_documented_view(store: HistoryStore, record: Record) -> None:
    """As another program does it: `docs/history.md` names these columns."""
    store.append(run_rows(1, [with_cycles(record, 1234)], branch="trunk"))
    page = (Path(__file__).parents[2] / "docs" / "history.md").read_text(encoding="utf-8")
    with closing(sqlite3.connect(store.path)) as connection:
        cursor = connection.execute("SELECT * FROM history WHERE metric = 'npu_cycles'")
        columns = [column[0] for column in cursor.description]
        row = dict(zip(columns, cursor.fetchone(), strict=True))
        assert cursor.fetchone() is None
    assert row["run"] == "run-0001"
    assert (row["cell"], row["value"], row["unit"]) == (CELL, 1234, "cycles")
    assert (row["branch"], row["revision"], row["dirty"]) == ("trunk", f"{1:040x}", 0)
    assert (row["macs"], row["target"], row["source"]) == (128, "vela", "estimate")
    assert row["vela_version"] == record.compilation.vela_version
    assert [name for name in columns if f"`{name}`" not in page] == []


# --- files that are no history, or not of this version -------------------------------------------


def append(store: HistoryStore) -> None:
    store.append(run_rows(1))


def read(store: HistoryStore) -> None:
    store.runs(ALL)


def check(store: HistoryStore) -> None:
    store.require_writable()


EACH_WAY = pytest.mark.parametrize("use", [append, read, check])


@EACH_WAY
@pytest.mark.parametrize("text", [b"not a database, but text that is long enough" * 20, b"x"])
def test_a_foreign_file_is_refused_and_left_alone(
    tmp_path: Path, text: bytes, use: Callable[[HistoryStore], None]
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(text)
    with pytest.raises(HistoryError, match=r"notes\.txt: is damaged, or no history"):
        use(HistoryStore(path))
    assert path.read_bytes() == text


@EACH_WAY
def test_another_programs_database_is_refused_and_left_alone(
    tmp_path: Path, use: Callable[[HistoryStore], None]
) -> None:
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE runs (id INTEGER)")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(HistoryError, match="is a database of another program"):
        use(HistoryStore(path))
    assert path.read_bytes() == before


@EACH_WAY
def test_a_later_layout_is_refused_in_one_sentence(
    store: HistoryStore, use: Callable[[HistoryStore], None]
) -> None:
    append(store)
    later = len(MIGRATIONS) + 1
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute(f"PRAGMA user_version = {later}")
    with pytest.raises(HistoryError, match=rf"was written by a later bench \(layout {later},"):
        use(store)


@pytest.mark.parametrize("use", [append, read])
def test_damage_inside_is_one_message(
    store: HistoryStore, use: Callable[[HistoryStore], None]
) -> None:
    for number in range(30):
        store.append(run_rows(number))
    content = bytearray(store.path.read_bytes())
    # All but the first page, which holds the header and what tables there are.
    content[4096:] = b"\xa5" * (len(content) - 4096)
    store.path.write_bytes(content)
    with pytest.raises(HistoryError, match=r"is damaged, or no history: .*malformed") as caught:
        use(store)
    assert "bench history add" in caught.value.cure


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A store of three runs."""
    store = HistoryStore(tmp_path_factory.mktemp("sound") / "history.sqlite")
    for number in range(3):
        store.append(run_rows(number))
    return store.path.read_bytes()


def show(store: HistoryStore) -> None:
    series = store.series("npu_cycles", "*", ALL)
    views = [SeriesView(s, find_steps(s.points), is_noisy(s.points)) for s in series]
    tables = [*overview_table(views), *runs_table(store.runs(ALL))]
    for view in views:
        tables += series_table(view, 20)
    render(tables, 170)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_a_file_damaged_anywhere_is_read_or_one_message(
    data: st.DataObject, sound: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "history.sqlite"
    store = HistoryStore(path)
    content = bytearray(sound)
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=40)):
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    for use in (show, append):
        with suppress(HistoryError, ConfigError):
            use(store)


def test_reading_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="there is no history yet"):
        read(HistoryStore(tmp_path / "none" / "history.sqlite"))
    assert list(tmp_path.iterdir()) == []


@EACH_WAY
def test_a_directory_is_no_history(tmp_path: Path, use: Callable[[HistoryStore], None]) -> None:
    with pytest.raises(HistoryError, match="is no file"):
        use(HistoryStore(tmp_path))


def test_an_empty_file_becomes_a_history(tmp_path: Path) -> None:
    """As `mktemp` leaves it."""
    path = tmp_path / "history"
    path.touch()
    append(HistoryStore(path))
    assert len(HistoryStore(path).runs(ALL)) == 1


# --- migration -----------------------------------------------------------------------------------

NEXT = (*MIGRATIONS, ("ALTER TABLE runs ADD COLUMN note TEXT", "UPDATE runs SET note = name"))
BROKEN = (*MIGRATIONS, ("ALTER TABLE runs ADD COLUMN note TEXT", "UPDATE nowhere SET note = 1"))


def test_an_older_layout_is_brought_up_with_all_its_rows(store: HistoryStore) -> None:
    append(store)
    before = content(store.path)
    with writing(store.path) as connection:
        migrate(connection, NEXT)
        assert layout_version(connection) == len(NEXT)
        migrate(connection, NEXT)
        notes = connection.execute("SELECT note FROM runs").fetchall()
    assert notes == [("run-0001",)]
    assert content(store.path) == before


def test_a_migration_that_fails_leaves_the_older_layout(store: HistoryStore) -> None:
    append(store)
    before = content(store.path)
    with pytest.raises(HistoryError, match="no such table"), writing(store.path) as connection:
        migrate(connection, BROKEN)
    with writing(store.path) as connection:
        assert layout_version(connection) == len(MIGRATIONS)
    assert content(store.path) == before


def test_readers_bring_an_older_layout_up(store: HistoryStore) -> None:
    """Layout 0: a file that was made, and whose maker was killed before it had tables."""
    store.path.parent.mkdir()
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    assert store.runs(ALL) == ()
    with closing(sqlite3.connect(store.path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


# --- what is kept is text ------------------------------------------------------------------------


@given(text=st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_names_from_outside_are_values_and_never_sql(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = HistoryStore(tmp_path_factory.mktemp("names") / "h")
    record = dense_layer_record("base")
    reason = Absent(reason=text).reason
    odd = changed(record, "cell", id=f"{CELL}'; DROP TABLE runs; --")
    odd = odd.model_copy(update={"accuracy": None, "accuracy_absent": reason})
    rows = run_rows(1, [odd])
    store.append(replace(rows, run=replace(rows.run, name=reason)))
    [point] = the(store.series("accuracy", odd.cell.id, ALL)).points
    assert point.absent == (reason or "the record gives no reason")
    assert store.runs(ALL)[0].name == reason
    assert json.loads(point.provenance)["vela"]["version"] == record.compilation.vela_version


def test_the_store_is_for_everybody_whom_the_umask_allows(store: HistoryStore) -> None:
    append(store)
    assert stat.S_IMODE(store.path.stat().st_mode) & 0o444 == 0o444
