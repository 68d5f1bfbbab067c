"""What CI prints of skipped tests, and which reasons it does not accept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bench_runs import ROOT

MODULE = """
import pytest

@pytest.mark.parametrize("number", [1, 2])
def test_labgrid(number):
    pytest.skip("ser2net is missing: boards behind labgrid NOT tested")

def test_that_runs():
    pass
"""
OF_THE_LOCK = """
import pytest

def test_fvp():
    pytest.skip("the package unicorn is missing: target fvp NOT tested")
"""
WHOLE = """
import pytest

pytest.importorskip("no_such_package", reason="the package yaml is missing: NOT checked")

def test_recipe():
    pass
"""


def report(tmp_path: Path, **modules: str) -> subprocess.CompletedProcess[str]:
    """The report on a run of `modules`, a JUnit file each."""
    results = tmp_path / "junit"
    results.mkdir()
    for name, text in modules.items():
        file = tmp_path / f"test_{name}.py"
        file.write_text(text, encoding="utf-8")
        subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", tmp_path),
                *("-p", "no:cacheprovider", f"--junit-xml={results / name}.xml", file),
            ],
            cwd=tmp_path,
            capture_output=True,
            timeout=60,
        )
        assert (results / f"{name}.xml").is_file()
    return subprocess.run(
        [sys.executable, "-m", "tests.support.skip_report", results],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_reasons_are_counted_with_their_modules(tmp_path: Path) -> None:
    done = report(tmp_path, boards=MODULE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "    2 x ser2net is missing: boards behind labgrid NOT tested",
        "        test_boards",
        "SKIPPED: 2 of 3 tests",
    ]


@pytest.mark.parametrize(
    ("text", "package"), [(OF_THE_LOCK, "unicorn"), (WHOLE, "yaml")], ids=["test", "module"]
)
def test_what_the_lock_installs_may_not_be_missing(tmp_path: Path, text: str, package: str) -> None:
    done = report(tmp_path, boards=MODULE, fvp=text)
    assert done.returncode == 1
    assert "SKIPPED: 3 of 4 tests" in done.stdout
    (refused,) = (line for line in done.stdout.splitlines() if line.startswith("NOT ALLOWED"))
    assert f"the package {package} is missing" in refused


def test_a_run_that_left_no_file_is_no_success(tmp_path: Path) -> None:
    done = report(tmp_path)
    assert done.returncode == 1
    assert "nothing was run" in done.stdout
