"""Accepted figures: their text, their files, and what an acceptance changes."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.baselines.accepted import AcceptedCell, AcceptedFigure, AcceptedSweep, Baselines
from bench.baselines.accepting import Kind, accept, require_reason
from bench.baselines.files import read_directory, read_file, update_files
from bench.baselines.text import parse, render
from bench.core.errors import BenchError
from bench.plan.metrics import MetricName
from bench.records.layers import LayerSummary
from bench.records.provenance import Provenance
from bench.records.record import Record
from tests.support.baselines import accepted
from tests.support.records import dense_layer_record

LATER = datetime.date(2026, 12, 24)
EMPTY = Baselines(origin="o")

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FACTS = st.dictionaries(TEXT, TEXT, max_size=3)
FIGURES = st.builds(
    AcceptedFigure,
    value=st.floats(allow_nan=False, allow_infinity=False),
    unit=st.sampled_from(["", "KiB", "cycles"]),
    since=st.dates(),
    reason=TEXT,
    earlier=st.booleans(),
)
LAYERS = st.builds(
    LayerSummary,
    cycles=st.integers(0, 10**12),
    waits=st.integers(0, 10**12),
    bound=TEXT,
    balance=st.none() | st.floats(0, 1e6),
    block=TEXT,
)
CELLS = st.builds(
    AcceptedCell,
    made=st.builds(Provenance, data=FACTS, vela=FACTS, training=FACTS),
    figures=st.dictionaries(st.sampled_from(MetricName), FIGURES, max_size=4),
    layers=st.dictionaries(TEXT, LAYERS, max_size=3),
    memory_share=st.none() | st.floats(0, 1),
)
SWEEPS = st.builds(
    AcceptedSweep, efficiency=st.floats(0, 10), binding=TEXT, since=st.dates(), reason=TEXT
)
NAMES = st.from_regex(r"[a-z0-9_-]{1,12}", fullmatch=True)


@given(st.dictionaries(NAMES, CELLS, max_size=3), st.dictionaries(NAMES, SWEEPS, max_size=2))
def test_the_text_reads_back_and_depends_on_the_figures_alone(
    cells: dict[str, AcceptedCell], sweeps: dict[str, AcceptedSweep]
) -> None:
    text = render(cells, sweeps)
    back = parse(text, "o")
    assert (back.cells, back.sweeps) == (cells, sweeps)
    assert render(dict(reversed(cells.items())), dict(reversed(sweeps.items()))) == text


@pytest.fixture(scope="module")
def record() -> Record:
    return dense_layer_record("base")


def with_cycles(record: Record, cycles: int, **update: object) -> Record:
    counters = {**record.measurement.counters, "NPU_ACTIVE": cycles}
    measurement = record.measurement.model_copy(update={"counters": counters})
    return record.model_copy(update={"measurement": measurement, **update})


def test_a_figure_has_one_line_and_a_diff_shows_what_changed(record: Record) -> None:
    before = accepted(record)
    after = accept(before, [with_cycles(record, 2000)], [], reason="slower", today=LATER).after
    old, new = (render(one.cells, one.sweeps).splitlines() for one in (before, after))
    changed = [line for line in new if line not in old]
    assert changed == [
        'npu_cycles = { value = 2000, unit = "cycles", since = 2026-12-24, reason = "slower" }',
        'inference_ms = { value = 0.004, unit = "ms", since = 2026-12-24, reason = "slower" }',
    ]
    assert len(old) == len(new)


def test_what_stays_keeps_its_date_and_its_reason(record: Record) -> None:
    before = accepted(record)
    again = accept(before, [record], [], reason="again", today=LATER)
    assert again.after == before
    assert again.changes == ()


def test_kinds_of_changes(record: Record) -> None:
    before = accepted(record)
    faster = accept(before, [with_cycles(record, 900)], [], reason="", today=LATER)
    assert {c.metric: c.kind for c in faster.changes} == {
        MetricName.NPU_CYCLES: Kind.BETTER,
        MetricName.INFERENCE_MS: Kind.BETTER,
    }
    blind = record.model_copy(update={"accuracy": None, "accuracy_absent": "no labels"})
    lost = accept(before, [blind], [], reason="", today=LATER)
    (change,) = lost.changes
    assert (change.metric, change.kind) == (MetricName.ACCURACY, Kind.LOST)
    assert MetricName.ACCURACY not in lost.after.cells[record.cell.id].figures
    seen = accept(lost.after, [record], [], reason="", today=LATER)
    assert [c.kind for c in seen.changes] == [Kind.NEW]


def test_a_larger_error_is_worse(record: Record) -> None:
    def with_error(value: float) -> Record:
        assert record.accuracy is not None
        merit = record.accuracy.model_copy(update={"metric": "mse", "value": value})
        return record.model_copy(update={"accuracy": merit})

    for value, kind in ((0.6, Kind.WORSE), (0.4, Kind.BETTER)):
        done = accept(accepted(with_error(0.5)), [with_error(value)], [], reason="", today=LATER)
        assert [change.kind for change in done.changes] == [kind]


def test_worse_figures_need_a_reason(record: Record) -> None:
    before = accepted(record)
    worse = accept(before, [with_cycles(record, 1001)], [], reason="", today=LATER)
    with pytest.raises(BenchError, match=r"npu_cycles 1,000 cycles -> 1,001 cycles \(\+0\.1%\)"):
        require_reason(worse.changes, " ", "say why")
    require_reason(worse.changes, "Vela", "say why")
    better = accept(before, [with_cycles(record, 999)], [], reason="", today=LATER)
    require_reason(better.changes, "", "say why")


def test_a_metric_that_was_not_chosen_stays_and_is_of_an_earlier_build(record: Record) -> None:
    before = accepted(record)
    compilation = record.compilation.model_copy(update={"vela_version": "6.0.0"})
    moved = with_cycles(record, 2000, compilation=compilation)
    after = accept(
        before, [moved], [], reason="r", today=LATER, metrics=[MetricName.ACCURACY]
    ).after.cells[record.cell.id]
    assert after.made.vela["version"] == "6.0.0"
    assert after.figures[MetricName.NPU_CYCLES].value == 1000
    assert after.figures[MetricName.NPU_CYCLES].earlier
    assert not after.figures[MetricName.ACCURACY].earlier


def test_other_cells_stay(record: Record) -> None:
    before = accepted(record)
    other = record.model_copy(update={"cell": record.cell.model_copy(update={"id": "other"})})
    after = accept(before, [other], [], reason="r", today=LATER).after
    assert after.cells[record.cell.id] == before.cells[record.cell.id]
    assert set(after.cells) == {record.cell.id, "other"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("schema_version = 1\n[cells", "Expected ']'"),
        ("", "schema_version: must be 1"),
        ("schema_version = 2", "of a newer bench"),
        ("schema_version = 1\n[cell.x]\n", "unknown table 'cell'; did you mean 'cells'"),
        ("schema_version = 1\ncells = 3\n", "cells: must be a table"),
        ("schema_version = 1\n[cells.x]\nnpu_cycle = 3\n", "did you mean 'npu_cycles'"),
        ("schema_version = 1\n[cells.x]\nnpu_cycles = 3\n", "cells.x: npu_cycles: "),
        (
            "schema_version = 1\n[cells.x]\n"
            'npu_cycles = { value = nan, unit = "cycles", since = 2026-11-29 }\n',
            "npu_cycles: value: Input should be a finite number",
        ),
        (
            'schema_version = 1\n[cells.x]\nmade = { vela = "abc" }\n',
            "made.vela: there is no table [made.vela.abc]",
        ),
        ("schema_version = 1\n<<<<<<< HEAD\n", "line 2"),
    ],
)
def test_a_damaged_file_is_refused_by_its_key(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "sim" / "w.toml"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BenchError) as caught:
        read_directory(tmp_path, [("sim", "w")])
    assert str(path) in str(caught.value)
    assert told in str(caught.value)


def test_what_has_no_file_has_no_figures(tmp_path: Path) -> None:
    assert not read_directory(tmp_path / "none", [("sim", "w")]).of("sim", "w").cells


def write(directory: Path, baselines: Baselines) -> tuple[Path, ...]:
    return update_files(directory, [("sim", "w")], lambda name, before: baselines)


def test_a_file_is_written_once_and_only_if_it_changes(tmp_path: Path, record: Record) -> None:
    (path,) = write(tmp_path, accepted(record))
    assert read_file(path, "o") == accepted(record)
    assert write(tmp_path, accepted(record)) == ()
    assert [p.name for p in tmp_path.rglob("*")] == ["sim", "w.toml"], "no lock, no leftovers"
    assert write(tmp_path, EMPTY) == (path,)
    assert not path.exists(), "a file without figures is none"


def test_a_file_where_the_directory_should_be(tmp_path: Path, record: Record) -> None:
    (tmp_path / "sim").write_text("x", encoding="utf-8")
    with pytest.raises(BenchError, match="cannot be written") as caught:
        write(tmp_path, accepted(record))
    assert "[baselines] directory" in str(caught.value)
