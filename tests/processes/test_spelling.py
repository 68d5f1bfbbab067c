"""codespell, as pyproject.toml sets it up, reads everything that people write here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bench_runs import ROOT

#: Put together here, or it would be found here.
MISSPELT = "rec" + "ieve"


def codespell(directory: Path) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "pyproject.toml", directory)
    return subprocess.run(
        [Path(sys.executable).with_name("codespell")], cwd=directory, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "name",
    [
        *("README.md", "docs/page.md", "bench/module.py", "targets/firmware/main.c", "Makefile"),
        *("bench.toml", ".ci/run", ".pre-commit-config.yaml", "deploy/docker/entrypoint.sh"),
    ],
)
def test_a_misspelt_word_is_found(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"# They {MISSPELT} data.\n", encoding="utf-8")
    done = codespell(tmp_path)
    assert done.returncode != 0
    assert f"{name}:1: {MISSPELT} ==> receive" in done.stdout


def test_what_nobody_wrote_here_is_not_read(tmp_path: Path) -> None:
    for name in (".venv/page.md", ".venv-3.12/page.md", "results/cell.json", "requirements.lock"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{MISSPELT}\n", encoding="utf-8")
    done = codespell(tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
