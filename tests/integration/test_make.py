"""`make` on a machine that lacks something: one line that says what to install."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.bench_runs import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(tmp_path: Path, *arguments: str) -> tuple[int, list[str]]:
    result = subprocess.run(
        ["make", "--no-print-directory", f"VENV={tmp_path / 'venv'}", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return result.returncode, [line for line in result.stdout.splitlines() if "bench:" in line]


def fake_python(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "python3"
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("target", ["bench", "test"])
def test_no_python(tmp_path: Path, target: str) -> None:
    code, lines = make(tmp_path, target, "PYTHON=/nowhere/python3")
    assert code != 0
    assert len(lines) == 1
    assert "install Python 3.10 or later" in lines[0]


def test_an_old_python(tmp_path: Path) -> None:
    python = fake_python(tmp_path, "exit 1")
    code, lines = make(tmp_path, "bench", f"PYTHON={python}")
    assert code != 0
    assert len(lines) == 1
    assert "older than 3.10" in lines[0]


def test_no_venv_module(tmp_path: Path) -> None:
    python = fake_python(tmp_path, 'case "$2" in *venv*) exit 1;; esac')
    code, lines = make(tmp_path, "bench", f"PYTHON={python}")
    assert code != 0
    assert len(lines) == 1
    assert "python3-venv" in lines[0]


def test_help_lists_the_two_commands(tmp_path: Path) -> None:
    result = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.search(r"^bench\s+run the main job", result.stdout, re.MULTILINE)
    assert re.search(r"^test\s+", result.stdout, re.MULTILINE)


def test_lint_runs_every_checker_and_is_part_of_test(tmp_path: Path) -> None:
    for target in ("lint", "test"):
        done = subprocess.run(
            ["make", "--dry-run", f"VENV={tmp_path}", target],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        commands = re.findall(rf"^{tmp_path}/bin/(\S+(?: \w+)?)", done.stdout, re.MULTILINE)
        checks = ("ruff check", "ruff format", "mypy", "lint-imports", "codespell")
        assert set(checks) <= set(commands), commands


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_locks_are_pinned_by_hash_and_name_no_address(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text
    for line in re.findall(r"^[A-Za-z0-9].*$", text, re.MULTILINE):
        assert re.match(r"[A-Za-z0-9._\[\],-]+==\S+ .*\\$", line), line
    assert text.count("--hash=sha256:") > 100
