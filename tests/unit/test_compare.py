"""`bench compare`: what is worse, better, missing, and by what cause."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import jsonschema
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bench.baselines.accepted import BaselineSet
from bench.baselines.files import update_files
from bench.cli.sides import read_side
from bench.core.errors import BenchError
from bench.history.compare import compare, compare_figure
from bench.history.comparison import CellOutcome, Comparison, FigureOutcome, Floors, OutputOutcome
from bench.history.side import CellSide, Side, side_of_baselines, side_of_run
from bench.plan.metrics import Better, MetricName, describe
from bench.records.figures import Absent, Number
from bench.records.record import Record
from bench.records.run_directory import RunDirectory
from bench.report.comparison.markdown import code_span, comparison_markdown
from bench.report.comparison.text import comparison_text
from tests.support.baselines import accepted
from tests.support.records import dense_layer_record
from tests.support.sides import record_with, side_of, written_run

EXACT = Floors()
CYCLES = {"NPU_ACTIVE": 1100, "AXI1_RD_DATA_BEAT_RECEIVED": 500}
VERSION_1 = Path(__file__).parent / "data" / "schema_1" / "cells"


def outcomes(comparison: Comparison, cell: int = 0) -> Mapping[MetricName, FigureOutcome]:
    return {figure.metric: figure.outcome for figure in comparison.cells[cell].figures}


def test_a_run_and_itself_are_the_same(tmp_path: Path) -> None:
    side = side_of(tmp_path / "a", dense_layer_record("base"), dense_layer_record("pruned"))
    comparison = compare(side, side, EXACT)
    assert comparison.passed
    assert (comparison.totals.cells, comparison.totals.unchanged) == (2, 2)
    assert comparison.causes == ()
    assert all(cell.outputs.outcome is OutputOutcome.SAME for cell in comparison.cells)
    assert all(not cell.layers and not cell.vela_layers for cell in comparison.cells)


def test_each_figure_is_judged_by_its_own_direction(tmp_path: Path) -> None:
    a = side_of(tmp_path / "a", dense_layer_record("base"))
    b = side_of(
        tmp_path / "b",
        record_with(measurement={"counters": CYCLES}, accuracy={"value": 0.96}),
    )
    there, back = compare(a, b, EXACT), compare(b, a, EXACT)
    assert outcomes(there)[MetricName.NPU_CYCLES] is FigureOutcome.REGRESSED
    assert outcomes(there)[MetricName.ACCURACY] is FigureOutcome.IMPROVED
    assert outcomes(back)[MetricName.NPU_CYCLES] is FigureOutcome.IMPROVED
    assert outcomes(back)[MetricName.ACCURACY] is FigureOutcome.REGRESSED
    # A cell with one worse figure is worse, whatever the others say.
    assert there.cells[0].outcome is back.cells[0].outcome is CellOutcome.REGRESSED
    cycles = next(f for f in there.cells[0].figures if f.metric is MetricName.NPU_CYCLES)
    assert (cycles.a, cycles.b, cycles.difference, cycles.relative) == (1000, 1100, 100, 0.1)


@pytest.mark.parametrize("metric", ["mse", "mae"])
def test_an_error_improves_downwards(tmp_path: Path, metric: str) -> None:
    a = side_of(tmp_path / "a", record_with(accuracy={"metric": metric, "value": 0.5}))
    b = side_of(tmp_path / "b", record_with(accuracy={"metric": metric, "value": 0.6}))
    assert outcomes(compare(a, b, EXACT))[MetricName.ACCURACY] is FigureOutcome.REGRESSED
    assert outcomes(compare(b, a, EXACT))[MetricName.ACCURACY] is FigureOutcome.IMPROVED


def test_what_cannot_be_compared_is_named_and_does_not_pass(tmp_path: Path) -> None:
    a = side_of(tmp_path / "a", dense_layer_record("base"))
    for changed, words in (
        (record_with(accuracy={"metric": "f1", "value": 0.99}), "it is top1 on A and f1 on B"),
        (record_with(data={"sha256": "f" * 64}, accuracy={"value": 0.99}), "different data"),
        (record_with(accuracy={"metric": "m.py:mine", "value": 0.99}), "it is top1 on A"),
    ):
        b = side_of(tmp_path / "b", changed)
        shutil.rmtree(tmp_path / "b")
        comparison = compare(a, b, EXACT)
        assert outcomes(comparison)[MetricName.ACCURACY] is FigureOutcome.INCOMPARABLE
        assert comparison.cells[0].outcome is CellOutcome.NOT_JUDGED
        assert not comparison.passed
        assert words in comparison_text(comparison)


def test_nobody_knows_which_way_a_function_of_the_users_improves(tmp_path: Path) -> None:
    def side(name: str, value: float) -> Side:
        return side_of(tmp_path / name, record_with(accuracy={"metric": "m.py:f", "value": value}))

    better = compare(side("a", 0.5), side("b", 0.9), EXACT)
    assert outcomes(better)[MetricName.ACCURACY] is FigureOutcome.INCOMPARABLE
    assert compare(side("c", 0.5), side("d", 0.5), EXACT).passed


def test_a_figure_that_is_missing_is_never_dropped(tmp_path: Path) -> None:
    a = side_of(tmp_path / "a", dense_layer_record("base"))
    lost = record_with(measurement={"counters": {}, "unavailable": {"NPU_ACTIVE": "no counter"}})
    b = side_of(tmp_path / "b", lost)
    comparison = compare(a, b, EXACT)
    assert outcomes(comparison)[MetricName.NPU_CYCLES] is FigureOutcome.LOST
    assert comparison.cells[0].outcome is CellOutcome.NOT_JUDGED
    assert not comparison.passed
    text = comparison_text(comparison)
    assert "npu_cycles: no counter (w-base" in text
    assert "B lacks figures that A has." in text
    back = compare(b, a, EXACT)
    assert outcomes(back)[MetricName.NPU_CYCLES] is FigureOutcome.GAINED
    assert back.passed
    assert "figures in B and not in A" in comparison_text(back)


def test_a_cell_that_is_missing_or_unmeasured_does_not_pass(tmp_path: Path) -> None:
    both = dense_layer_record("base"), dense_layer_record("pruned")
    a = side_of(tmp_path / "a", *both)
    less = side_of(tmp_path / "b", both[0])
    comparison = compare(a, less, EXACT)
    assert comparison.only_in_a == (both[1].cell.id,)
    assert not comparison.passed
    assert compare(less, a, EXACT).passed
    stopped = side_of_run(written_run(tmp_path / "c", both[:1], [both[1].cell.id]))
    comparison = compare(a, stopped, EXACT)
    assert comparison.totals.not_judged == 1
    assert not comparison.passed
    assert "it was planned and not measured" in comparison_text(comparison)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    record = dense_layer_record("base")
    a = side_of(tmp_path / "a", record, dense_layer_record("pruned"))
    run = written_run(tmp_path / "b", [record, dense_layer_record("pruned")])
    (run.path / "cells" / f"{record.cell.id}.json").write_text("{", encoding="utf-8")
    comparison = compare(a, side_of_run(run), EXACT)
    assert not comparison.passed
    assert f"cells/{record.cell.id}.json cannot be read" in comparison.b.unreadable[0]
    assert "cannot be read" in comparison_text(comparison)
    assert "cannot be read" in comparison_markdown(comparison)


def test_runs_without_a_common_cell_are_an_error(tmp_path: Path) -> None:
    a = side_of(tmp_path / "a", dense_layer_record("base"))
    b = side_of(tmp_path / "b", dense_layer_record("pruned"))
    with pytest.raises(BenchError, match="no cell in common"):
        compare(a, b, EXACT)


def test_cells_with_the_same_cause_stand_together(tmp_path: Path) -> None:
    names = ("base", "pruned", "clustered")
    a = side_of(
        tmp_path / "a", *(record_with(n, compilation={"vela_version": "5.0.0"}) for n in names)
    )
    b = side_of(
        tmp_path / "b",
        *(
            record_with(n, compilation={"sha256": f"{i}" * 64}, measurement={"counters": CYCLES})
            for i, n in enumerate(names)
        ),
    )
    version = dense_layer_record("base").compilation.vela_version
    (group,) = compare(a, b, EXACT).causes
    # The hash of what Vela made differs in each cell, and is no cause of its own.
    assert group.cause == f"Vela: version 5.0.0 -> {version}"
    assert len(group.cells) == 3


def test_layers_that_changed_are_listed_with_what_binds_them(tmp_path: Path) -> None:
    record = dense_layer_record("base")
    first, *rest = record.compilation.report.layers
    slower = first.model_copy(update={"op_cycles": first.op_cycles + 777})
    report = record.compilation.report.model_copy(update={"layers": (slower, *rest)})
    a = side_of(tmp_path / "a", record)
    b = side_of(
        tmp_path / "b",
        record_with(compilation={"report": report}, measurement={"counters": CYCLES}),
    )
    comparison = compare(a, b, EXACT)
    (layer,) = comparison.cells[0].layers
    assert (layer.name, layer.difference) == (first.name, 777)
    assert comparison.cells[0].vela_layers[0].name == first.name
    assert "+777" in comparison_text(comparison)
    renamed = first.model_copy(update={"name": "other"})
    report = report.model_copy(update={"layers": (renamed, *rest)})
    c = side_of(tmp_path / "c", record_with(compilation={"report": report}))
    gone, new = compare(a, c, EXACT).cells[0].layers
    assert (gone.name, gone.b, new.name, new.a) == (first.name, None, "other", None)


def test_a_run_of_schema_1_is_compared(tmp_path: Path) -> None:
    (path,) = VERSION_1.glob("*.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["schema_version"] == 1
    run = written_run(tmp_path / "old", (), [path.stem])
    shutil.copy(path, run.path / "cells" / path.name)
    old = side_of_run(run)
    record = Record.model_validate(document)
    counters = {**record.measurement.counters, "NPU_ACTIVE": 1 << 40}
    slower = record.model_copy(
        update={"measurement": record.measurement.model_copy(update={"counters": counters})}
    )
    new = side_of(tmp_path / "new", slower)
    comparison = compare(old, new, EXACT)
    assert outcomes(comparison)[MetricName.NPU_CYCLES] is FigureOutcome.REGRESSED
    assert outcomes(comparison)[MetricName.DEVICE_MODEL] is FigureOutcome.UNCHANGED
    assert compare(old, old, EXACT).passed


def test_the_cells_of_a_version_of_vela_are_compared_without_it(tmp_path: Path) -> None:
    def of_vela(name: str, version: str, cycles: int) -> Record:
        suffix = "" if version == "5.2.0" else f"-vela_{version.replace('.', '_')}"
        id_ = dense_layer_record(name).cell.id + suffix
        return record_with(
            name,
            cell={"id": id_},
            compilation={"vela_version": version},
            measurement={"counters": {**CYCLES, "NPU_ACTIVE": cycles}},
        )

    names = ("base", "pruned")
    records = [of_vela(n, v, c) for n in names for v, c in (("5.0.0", 100), ("5.2.0", 120))]
    planned = [of_vela("lost", "5.0.0", 1).cell.id]
    run = written_run(tmp_path / "run", records, planned).path

    def side(named: str) -> Side:
        return read_side(named, tmp_path / "bench.toml")

    old, new = side(f"{run}@5.0.0"), side(f"{run}@5.2.0")
    ids = [dense_layer_record(name).cell.id for name in names]
    assert [*new.cells] == [*new.records] == [*side(f"{run}@installed").cells] == ids
    assert [*old.cells] == [*ids, dense_layer_record("lost").cell.id]
    comparison = compare(new, old, EXACT)
    assert (comparison.totals.improved, comparison.totals.only_in_b) == (2, 1)
    assert {group.cause for group in comparison.causes} == {"Vela: version 5.2.0 -> 5.0.0"}
    for wrong in ("5.1.0", "", "@5.0.0"):
        with pytest.raises(BenchError, match=r"no cell of Vela|is neither a run"):
            side(f"{run}@{wrong}")
    # A directory may have such a name itself.
    run.rename(tmp_path / "run@5.0.0")
    assert len(side(str(tmp_path / "run@5.0.0")).cells) == 5


def test_an_operator_that_leaves_the_npu_makes_nothing_better(tmp_path: Path) -> None:
    def side(name: str, cycles: int, operators: tuple[str, ...] | None) -> Side:
        return side_of(
            tmp_path / name,
            record_with(
                measurement={"counters": {**CYCLES, "NPU_ACTIVE": cycles}},
                compilation={"cpu_operators": operators},
            ),
        )

    def cycles(a: Side, b: Side) -> FigureOutcome:
        return outcomes(compare(a, b, EXACT))[MetricName.NPU_CYCLES]

    whole, left = side("a", 1000, ()), side("b", 900, ("SOFTMAX",))
    old = side("c", 1000, None)
    assert cycles(whole, left) is cycles(old, left) is FigureOutcome.INCOMPARABLE
    assert compare(whole, left, EXACT).cells[0].outcome is CellOutcome.REGRESSED
    assert not compare(old, left, EXACT).passed
    assert cycles(left, whole) is FigureOutcome.REGRESSED
    assert cycles(old, side("d", 900, ())) is FigureOutcome.IMPROVED
    assert cycles(left, side("e", 800, ("SOFTMAX",))) is FigureOutcome.IMPROVED
    assert cycles(old, side("f", 900, None)) is FigureOutcome.IMPROVED


def test_a_run_is_compared_with_accepted_figures_and_these_with_others(tmp_path: Path) -> None:
    records = [dense_layer_record("base"), dense_layer_record("pruned")]
    update_files(tmp_path / "baselines", [("vela", "w")], lambda _, before: accepted(*records))
    slower = record_with(measurement={"counters": CYCLES}, compilation={"vela_version": "6.0.0"})
    run = written_run(tmp_path / "run", [slower, records[1]]).path

    def side(named: Path) -> Side:
        return read_side(str(named), tmp_path / "bench.toml")

    directory, file = tmp_path / "baselines", tmp_path / "baselines" / "vela" / "w.toml"
    for a in (directory, file):
        comparison = compare(side(a), side(run), EXACT)
        assert outcomes(comparison)[MetricName.NPU_CYCLES] is FigureOutcome.REGRESSED
        assert (comparison.totals.regressed, comparison.totals.unchanged) == (1, 1)
        (cause,) = comparison.causes
        assert cause.cause.startswith("Vela: version ")
        # What accepted figures do not say is unknown, and no difference.
        assert comparison.cells[0].outputs.outcome is OutputOutcome.UNKNOWN
        assert comparison.cells[1].layers == ()
    assert compare(side(file), side(directory), EXACT).passed
    assert compare(side(run), side(file), EXACT).passed
    fewer = side_of(tmp_path / "fewer", records[0])
    assert not compare(side(file), fewer, EXACT).passed
    file.write_text("[cells", encoding="utf-8")
    with pytest.raises(BenchError, match="is no baselines file"):
        side(file)


def test_an_error_is_compared_with_its_accepted_figure(tmp_path: Path) -> None:
    """Accepted figures do not say what the accuracy is; the run does, whichever side it is on."""

    def mse(value: float) -> Record:
        return record_with(accuracy={"metric": "mse", "value": value})

    def baselines(value: float) -> Side:
        files = {"vela/w": accepted(mse(value))}
        return side_of_baselines(BaselineSet(origin="o", files=files), "n")

    run = side_of(tmp_path / "a", mse(0.5))
    for a, b in ((baselines(0.4), run), (run, baselines(0.6))):
        assert outcomes(compare(a, b, EXACT))[MetricName.ACCURACY] is FigureOutcome.REGRESSED
    both = compare(baselines(0.4), baselines(0.5), EXACT)
    assert outcomes(both)[MetricName.ACCURACY] is FigureOutcome.INCOMPARABLE


# --- floors and directions, whatever the figures ------------------------------------------------

VALUES = st.floats(0, 1e9, allow_nan=False) | st.integers(0, 10**6).map(float)
FLOORS = st.floats(0, 1e6, allow_nan=False)


def cell(metric: MetricName, value: float | None) -> CellSide:
    unit = describe(metric).unit
    figure = Absent(reason="r") if value is None else Number(value=value, unit=unit)
    return CellSide(figures={metric: figure}, accuracy_metric="top1", accuracy_better=Better.HIGHER)


@given(st.sampled_from(MetricName), VALUES, VALUES, FLOORS, FLOORS)
def test_worse_is_never_better(
    metric: MetricName, a: float, b: float, relative: float, absolute: float
) -> None:
    floors = Floors(relative=relative, absolute={metric: absolute})
    there = compare_figure(metric, cell(metric, a), cell(metric, b), floors).outcome
    worse = b < a if describe(metric).better is Better.HIGHER else b > a
    assert there is not (FigureOutcome.IMPROVED if worse else FigureOutcome.REGRESSED)
    exact = compare_figure(metric, cell(metric, a), cell(metric, b), EXACT).outcome
    if a == b:
        assert exact is FigureOutcome.UNCHANGED
    else:
        assert exact is (FigureOutcome.REGRESSED if worse else FigureOutcome.IMPROVED)


@given(st.sampled_from(MetricName), VALUES, VALUES, FLOORS, FLOORS, FLOORS, FLOORS)
def test_higher_floors_never_find_more(
    metric: MetricName, a: float, b: float, r: float, n: float, more_r: float, more_n: float
) -> None:
    low = Floors(relative=r, absolute={metric: n})
    high = Floors(relative=r + more_r, absolute={metric: n + more_n})
    sides = cell(metric, a), cell(metric, b)
    found = compare_figure(metric, *sides, high).outcome
    assert found in (FigureOutcome.UNCHANGED, compare_figure(metric, *sides, low).outcome)


@given(st.permutations(["a", "b", "c", "d"]), st.lists(VALUES, min_size=8, max_size=8))
def test_the_order_of_the_cells_does_not_matter(order: list[str], values: list[float]) -> None:
    metric = MetricName.NPU_CYCLES

    def side(name: str, ids: list[str], part: list[float]) -> Side:
        by_id = dict(zip("abcd", part, strict=True))
        return Side(name, "", {id_: cell(metric, by_id[id_]) for id_ in ids})

    one = compare(side("A", [*"abcd"], values[:4]), side("B", [*"abcd"], values[4:]), EXACT)
    other = compare(side("A", order, values[:4]), side("B", order[::-1], values[4:]), EXACT)
    assert one.totals == other.totals
    assert {c.id: c for c in one.cells} == {c.id: c for c in other.cells}


@given(st.sampled_from(MetricName), VALUES)
def test_absent_is_lost_gained_or_absent_and_never_a_number(metric: MetricName, a: float) -> None:
    there, gone = cell(metric, a), cell(metric, None)
    assert compare_figure(metric, there, gone, EXACT).outcome is FigureOutcome.LOST
    assert compare_figure(metric, gone, there, EXACT).outcome is FigureOutcome.GAINED
    absent = compare_figure(metric, gone, gone, EXACT)
    assert (absent.outcome, absent.a, absent.b) == (FigureOutcome.ABSENT, None, None)


# --- how it is shown ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    root = tmp_path_factory.mktemp("large")
    names = [f"variant_{i}" for i in range(120)]
    long = "x" * 60 + "|`*<b>@me"
    a = side_of(root / "a", *(dense_layer_record(name) for name in names))
    b = side_of(
        root / "b",
        *(
            record_with(
                name,
                measurement={"counters": {**CYCLES, "NPU_ACTIVE": 1001 + i}},
                model={"provenance": {"file": long}},
            )
            for i, name in enumerate(names)
        ),
    )
    return compare(a, b, EXACT)


def test_text_fits_a_terminal_and_names_every_cell(large: Comparison) -> None:
    lines = comparison_text(large).splitlines()
    assert max(map(len, lines)) <= 100
    assert all(any(cell.id in line for line in lines) for cell in large.cells)
    # The worst comes first.
    assert "w-variant_119-" in next(line for line in lines if line.startswith("REGRESSED"))


def test_a_name_obeys_no_terminal_and_no_markup(tmp_path: Path) -> None:
    record = dense_layer_record("base")
    evil = "\x1b[2Jconv\n| x |\u202e</details>"
    (layer, *rest) = record.compilation.report.layers
    changed = layer.model_copy(update={"name": evil, "op_cycles": 9})
    report = record.compilation.report.model_copy(update={"layers": (changed, *rest)})
    measured = {"counters": CYCLES, "unavailable": {"AXI0_RD_DATA_BEAT_RECEIVED": evil}}
    a = side_of(tmp_path / "a", record)
    b = side_of(tmp_path / "b", record_with(compilation={"report": report}, measurement=measured))
    comparison = compare(a, b, EXACT)
    for text in (comparison_text(comparison), comparison_markdown(comparison)):
        assert "[2Jconv\\n" in text
        assert not {"\x1b", "\u202e"} & set(text)
    (*_, layers) = tables(comparison_markdown(comparison))
    assert {len(row) for row in layers} == {5}
    assert layers[-1][0].endswith("</details>")


def test_text_shows_what_rounding_would_hide(tmp_path: Path) -> None:
    a = side_of(tmp_path / "a", record_with(accuracy={"value": 0.95}))
    b = side_of(tmp_path / "b", record_with(accuracy={"value": 0.95 - 1e-9}))
    line = next(x for x in comparison_text(compare(a, b, EXACT)).splitlines() if "accuracy" in x)
    assert "0.949999999" in line


def test_json_is_what_its_schema_says(large: Comparison) -> None:
    document = json.loads(large.model_dump_json())
    jsonschema.validate(document, Comparison.model_json_schema())
    assert Comparison.model_validate(document) == large


def tables(markdown: str) -> list[list[list[str]]]:
    """The tables in `markdown`, as a parser that is not ours reads them."""
    found: list[list[list[str]]] = []
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    for before, token in pairwise([tokens[-1], *tokens]):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and before.type in ("th_open", "td_open"):
            children = token.children or []
            found[-1][-1].append("".join(child.content for child in children))
    return found


def test_markdown_is_read_by_a_foreign_parser(large: Comparison) -> None:
    text = comparison_markdown(large)
    assert len(text) < 65_536
    totals, causes, figures, *_ = tables(text)
    assert dict(zip(*totals, strict=True))["regressed"] == "120"
    (cause,) = causes[1:]
    assert cause[0] == "120"
    assert "|`*<b>@me" in cause[1]
    assert figures[0] == ["cell", "metric", "A", "B", "change", "outcome"]
    assert {len(row) for row in figures} == {6}
    worst = {row[0]: row for row in figures[1:] if row[1] == "npu_cycles"}
    row = worst[next(iter(worst))]
    assert row[2:] == ["1,000 cycles", "1,120 cycles", "+12.00%", "regressed"]


@given(st.text(st.sampled_from("ab`|\\*_<>@#[]!~& é"), min_size=1))
def test_a_name_is_shown_as_it_is_in_a_table(name: str) -> None:
    # A span of blanks alone is one; a parser may strip the others at its ends.
    assume(name == name.strip())
    ((_, (shown, other)),) = tables(f"| a | b |\n| --- | --- |\n| {code_span(name)} | x |\n")
    assert (shown, other) == (name, "x")


def test_a_record_that_was_not_planned_is_named(tmp_path: Path) -> None:
    """What is not planned on a side is not there, even if a record lies in its directory."""
    run = written_run(tmp_path / "a", [dense_layer_record("base")])
    RunDirectory(run.path).write_record(dense_layer_record("pruned"))
    side = side_of_run(run)
    assert list(side.cells) == [dense_layer_record("base").cell.id]
    assert "the run has no such cell" in str(side.unreadable[0])
