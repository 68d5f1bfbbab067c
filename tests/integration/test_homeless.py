"""A user without a home: no HOME, and no entry in the password file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.bench_runs import ROOT
from tests.support.models.tflite_factory import mlp

#: Runs a module as `python -m` does, where the system knows no user of this process's number.
AS_NOBODY = """
import pwd, runpy, sys

def nobody(number):
    raise KeyError(number)

pwd.getpwuid = nobody
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def as_nobody(directory: Path, *words: str, cache: str = "") -> subprocess.CompletedProcess[str]:
    """Run `python -m words` in `directory` without a home."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", AS_NOBODY, *words],
        cwd=directory,
        env=kept | {"BENCH_CACHE": cache, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_without_a_home_the_cache_has_to_be_named(tmp_path: Path) -> None:
    answer = as_nobody(tmp_path, "bench.cli", "cache", "info")
    assert answer.returncode == 2
    assert answer.stderr.startswith("bench: cache: this user has no home directory")
    assert "set BENCH_CACHE" in answer.stderr
    assert "Traceback" not in answer.stderr
    # Nor was a cache made in a directory called `~`.
    assert list(tmp_path.iterdir()) == []
    # A cache that is named need not be there yet.
    words = ("bench.cli", "cache", "gc", "--dry-run")
    named = as_nobody(tmp_path, *words, cache=f"{tmp_path}/cache")
    assert named.returncode == 0, named.stderr


@pytest.mark.parametrize("place", ["~", "~/cache", "~no_such_user_here"])
def test_a_cache_in_the_home_of_nobody_is_one_line(tmp_path: Path, place: str) -> None:
    answer = as_nobody(tmp_path, "bench.cli", "cache", "info", cache=place)
    assert answer.returncode == 2
    assert f"{place}: no home directory is known for" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_run_works_without_a_home_once_the_cache_is_named(tmp_path: Path) -> None:
    config = tmp_path / "bench.toml"
    config.write_text('[workloads]\nm = "m.tflite"\n', encoding="utf-8")
    (tmp_path / "m.tflite").write_bytes(mlp([np.ones((4, 8), np.int8)]))
    # Collecting reads the configuration and looks for the data, which Keras keeps in the home.
    words = (
        *("pytest", "-p", "no:cacheprovider", "--collect-only", "-q"),
        *(f"--rootdir={ROOT}", "-c", f"{ROOT}/pyproject.toml", f"--bench-config={config}"),
        f"{ROOT}/tests/regression/test_npu_cycles.py",
    )
    refused = as_nobody(tmp_path, *words)
    assert refused.returncode == 4, refused.stdout + refused.stderr
    assert "set BENCH_CACHE" in refused.stderr
    assert "Traceback" not in refused.stderr
    answer = as_nobody(tmp_path, *words, cache=f"{tmp_path}/cache")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "test_npu_cycles[m-base-u55_32-" in answer.stdout
