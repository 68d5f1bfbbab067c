"""A run of the project's own tests ends after one of them has killed its worker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bench_runs import ROOT

FILES, TESTS = 4, 5


@pytest.mark.parametrize("deadly", [0, TESTS - 1], ids=["first", "last"])
def test_a_dead_worker_costs_its_test_only(tmp_path: Path, deadly: int) -> None:
    for number in range(FILES):
        body = f"    if number == {deadly if number == FILES - 1 else -1}: os.abort()\n"
        (tmp_path / f"test_{number}.py").write_text(
            "import os, pytest\n"
            f"@pytest.mark.parametrize('number', range({TESTS}))\n"
            f"def test_it(number):\n{body}",
            encoding="utf-8",
        )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-c", "/dev/null", "-q", "-p", "no:labgrid"),
            *("-p", "tests.conftest", "-n", "2", "--dist", "loadfile", f"--rootdir={tmp_path}"),
            *("-p", "no:cacheprovider", str(tmp_path)),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stdout
    assert f"1 failed, {FILES * TESTS - 1} passed" in done.stdout
