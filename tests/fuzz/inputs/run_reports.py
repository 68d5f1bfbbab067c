"""The directory of a finished run with one thing damaged, and all reports made of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from bench.records.run_directory import RunDirectory
from bench.report.run_view import read_run, write_junit
from bench.report.table import render, unmeasured_table, unreadable_table, workload_tables
from tests.fuzz.inputs.trees import damage_tree

__all__ = ["run_case"]

Random = np.random.Generator


def run_case(
    runs: tuple[Path, ...], directory: Path, random: Random
) -> tuple[str, Callable[[], str]]:
    """A damaged copy of one of `runs` in `directory`, and its reports."""
    path = directory / "run"
    shutil.copytree(runs[int(random.integers(len(runs)))], path)
    return damage_tree(path, random), lambda: _report(RunDirectory(path))


def _report(run: RunDirectory) -> str:
    view = read_run(run)
    tables = workload_tables(view.studies, 120)
    tables += unmeasured_table(view.unmeasured) + unreadable_table(view.unreadable)
    text = render(tables, 170)
    if "\x1b" in text:
        return "an escape sequence reaches the terminal"
    junit = write_junit(run, view)
    cases = len(list(ElementTree.parse(junit).iter("testcase")))
    if cases != len(view.cases):
        return f"{cases} cases in the JUnit file of a run of {len(view.cases)}"
    return ""
