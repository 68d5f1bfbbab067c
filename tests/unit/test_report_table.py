"""The terminal's tables fit its width: no row is wrapped, and the telling columns are there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bench.pytest_plugin.end import end_lines, end_tables
from bench.report.columns import Column, Line, fitted, made_table
from bench.report.run_view import RunView, read_run
from bench.report.table import brief_tables, render, workload_tables
from tests.support.promises import Costs, hold
from tests.support.report_runs import hostile_run, many_cells_view, mixed_run

WIDTHS = (60, 80, 100, 140, 200)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return read_run(mixed_run(tmp_path_factory.mktemp("mixed")))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return read_run(hostile_run(tmp_path_factory.mktemp("hostile")))


def rows(text: str) -> list[list[str]]:
    """The rows of the tables, their heads among them."""
    found = [line for line in text.splitlines() if line[:1] in ("│", "┃")]
    return [
        [cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in found
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_no_row_is_wrapped(view: RunView, width: int) -> None:
    text = render(workload_tables(view.studies, width), width)
    assert max(map(cell_len, text.splitlines())) <= width
    head, *lines = rows(text)
    variants = [line[0] for line in lines]
    # Each row has a name of its own in its first column: nothing continues there.
    assert [name for name in variants if name != "Vela"] == ["base", "pruned", "clustered"]
    assert {"variant", "memory", "verdict", "cyc. @128"} <= set(head)


def test_a_wide_terminal_has_more_columns(view: RunView) -> None:
    heads = [rows(render(workload_tables(view.studies, width), width))[0] for width in WIDTHS]
    counts = list(map(len, heads))
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]
    assert {"cyc. @32", "accuracy", "enc. KiB", "change"} <= set(heads[-1])
    assert "change" in heads[1], "80 columns tell what became worse"


def test_a_row_tells_its_verdict_and_its_change(view: RunView) -> None:
    head, *lines = rows(render(workload_tables(view.studies, 200), 200))
    told = {line[0]: dict(zip(head, line, strict=True)) for line in lines if line[0] != "Vela"}
    assert told["pruned"]["verdict"] == "8 FAIL", "cycles and time, on four accelerators"
    assert told["pruned"]["change"] == "+11.1%"
    assert told["clustered"]["change"] == "-16.7%"
    assert (told["base"]["verdict"], told["base"]["change"]) == ("PASS", "=")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_hostile_record_stays_in_its_row(hostile: RunView, width: int) -> None:
    text = end_tables(hostile, width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert not set("\x00\x1b\u202e\u2028") & set(text)


@pytest.mark.slow
@pytest.mark.speed
def test_many_cells_end_in_a_summary_within_a_second() -> None:

    def measure() -> Costs:
        view = many_cells_view(10_000)
        assert view.summary.planned == 10_000
        start = time.process_time()
        text = end_tables(view, 100) + "\n".join(end_lines(view))
        taken = time.process_time() - start
        assert len(text.splitlines()) < 120
        assert "... and 621 more workloads with 9,936 cells" in text
        first = rows(text)[1]
        assert "FAIL" in first[2], "what fails comes first"
        return Costs(times={"end": taken})

    hold(measure, Costs(times={"end": 1}))


def test_a_brief_table_counts_what_it_leaves_out(view: RunView) -> None:
    text = render(brief_tables(view.studies, 100), 100)
    assert rows(text)[1][0] == "pruned", "what fails comes first"
    assert "Vela" not in [row[0] for row in rows(text)]


def test_what_was_not_judged_is_told_by_reason(view: RunView) -> None:
    lines = end_lines(view)
    assert any("11 npu_active_share: this target has no such counter" in line for line in lines)
    assert any(line.endswith("4 regressed, 3 improved, 4 unchanged") for line in lines)


@given(
    st.lists(st.text(max_size=80), min_size=1, max_size=8),
    st.integers(20, 200),
)
def test_whatever_a_cell_holds_a_table_keeps_its_width(cells: list[str], width: int) -> None:
    columns = [Column(str(i), f"c{i}", 0 if i == 0 else i) for i in range(len(cells))]
    lines = [Line({str(i): cell.replace("\n", " ") for i, cell in enumerate(cells)})] * 2
    kept = fitted(columns, lines, width)
    assert kept[0].key == "0"
    text = render([made_table(columns, lines, width, "t")], width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert len([line for line in text.splitlines() if line.startswith("│")]) == 2


def test_paths_are_relative_to_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.pytest_plugin.end import shown_path

    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "results" / "x") == "results/x"
    assert shown_path(Path("/elsewhere")) == "/elsewhere"


def test_a_cell_whose_record_is_gone_keeps_its_name(tmp_path: Path) -> None:
    run = mixed_run(tmp_path / "results")
    gone = run.planned_records().found[0].cell.id
    (run.path / "cells" / f"{gone}.json").unlink()
    view = read_run(run)
    assert [cell.id for cell in view.lost] == [gone]
    told = end_tables(view, 200)
    assert gone in told
    assert "its record is not in the run's directory" in told
