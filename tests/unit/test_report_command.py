"""`bench report`: what each option writes, where, and the exit status."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from junitparser import JUnitXml
from typer.testing import CliRunner, Result

from bench.cli.main import commands
from bench.core.errors import BenchError
from tests.support.report_runs import mixed_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mixed_run(tmp_path_factory.mktemp("command") / "results").path


def report(*arguments: object) -> Result:
    words = ["report", *map(str, arguments)]
    return CliRunner().invoke(commands, words, catch_exceptions=False)


def test_a_run_is_told_in_the_width_that_was_asked_for(run: Path) -> None:
    told = report(run, "--width", 80)
    assert told.exit_code == 0
    rows = [line for line in told.output.splitlines() if line.startswith("│ pruned")]
    assert [len(row) for row in rows] == [rows[0].rindex("│") + 1]
    assert len(rows[0]) <= 80
    assert (run / "junit.xml").exists()


def test_the_summary_goes_where_github_says(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "summary.md"
    place.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place))
    told = report(run, "--github-summary")
    assert told.exit_code == 0
    assert place.read_text(encoding="utf-8").startswith("before\n")
    assert "**Red: 11 of 84 tests failed.**" in place.read_text(encoding="utf-8")
    assert all(line.startswith("::error file=") for line in told.output.splitlines())
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert "**Red: 11 of 84 tests failed.**" in report(run, "--github-summary").output


def test_several_reports_are_made_at_once(run: Path, tmp_path: Path) -> None:
    told = report(
        run,
        *("--html", tmp_path / "page.html"),
        *("--markdown", tmp_path / "comment.md"),
        *("--export", f"csv={tmp_path / 'a.csv'}"),
        *("--export", f"openmetrics={tmp_path / 'metrics.txt'}"),
    )
    assert told.exit_code == 0
    assert "variant" not in told.output, "no tables beside"
    made = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(made) == {"page.html", "comment.md", "a.csv", "metrics.txt"}
    assert all(made.values())


def test_a_summary_says_since_when_if_the_history_knows(run: Path, tmp_path: Path) -> None:
    beside, elsewhere = tmp_path / "beside.md", tmp_path / "elsewhere.md"
    assert report(run, "--markdown", beside).exit_code == 0
    worse = next(line for line in beside.read_text("utf-8").splitlines() if "got worse" in line)
    assert "`Since commit c0ffeec0ff, run 20261129-030000-1 of 2026-11-29.`" in worse
    empty = tmp_path / "none.sqlite"
    assert report(run, "--markdown", elsewhere, "--history", empty).exit_code == 0
    assert "got worse" in elsewhere.read_text("utf-8")
    assert "Since" not in elsewhere.read_text("utf-8")
    assert not empty.exists()


def test_nothing_is_made_of_an_unknown_format(run: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="there is no format 'pdf'"):
        report(run, "--html", tmp_path / "page.html", "--export", "pdf=x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", ["", "NaN", "1e999", "123456789012345678901"])
def test_a_damaged_record_is_told_and_the_rest_reported(tmp_path: Path, number: str) -> None:
    run = mixed_run(tmp_path / "results").path
    record = next((run / "cells").iterdir())
    text = record.read_text(encoding="utf-8")
    damaged = re.sub(r'("macs": )\d+', rf"\g<1>{number}", text, count=1)
    assert damaged != text
    record.write_text(damaged, encoding="utf-8")
    told = report(run, "--html", tmp_path / "page.html")
    assert told.exit_code == 1
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f"cells/{record.name} cannot be read" in text


def test_shards_are_merged_into_numbered_parts(run: Path, tmp_path: Path) -> None:
    whole = report("merge", run, "--output", tmp_path / "junit.xml")
    assert whole.exit_code == 1, "the run is red"
    assert "12 planned cells, 0 of them INCOMPLETE" in whole.output
    assert JUnitXml.fromfile(str(tmp_path / "junit.xml")).tests == 84
    parts = report("merge", run, "--output", tmp_path / "part.xml", "--max-mb", "0.02")
    assert parts.exit_code == 1
    found = sorted(tmp_path.glob("part.*.xml"))
    assert len(found) > 1
    assert not (tmp_path / "part.xml").exists()
    assert sum(JUnitXml.fromfile(str(path)).tests for path in found) == 84
