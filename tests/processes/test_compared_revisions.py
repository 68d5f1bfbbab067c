"""`git:REVISION` as a side of a comparison: the baselines that a revision has, all of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bench.baselines.files import update_files
from bench.cli.sides import read_side
from bench.core.errors import BenchError
from bench.history.compare import compare
from bench.history.comparison import Floors
from bench.records.record import Record
from tests.support.baselines import accepted
from tests.support.records import dense_layer_record
from tests.support.sides import record_with

CONFIG = '[workloads]\nnet = "net.tflite"\n'


def git(directory: Path, *arguments: str) -> None:
    settings = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *settings, *arguments], cwd=directory, check=True, capture_output=True)


def put(directory: Path, workload: str, record: Record) -> None:
    update_files(directory, [("vela", workload)], lambda _, before: accepted(record))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Baselines of two workloads, committed; then the figures of one change and the other goes."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "bench.toml").write_text(CONFIG, encoding="utf-8")
    git(project, "init", "-q", "-b", "main")
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "nothing accepted")
    git(project, "tag", "empty")
    directory = project / "baselines"
    for workload, variant in (("one", "base"), ("two", "pruned")):
        put(directory, workload, dense_layer_record(variant))
    (directory / "README.md").write_text("words", encoding="utf-8")
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "accepted")
    slower = record_with(measurement={"counters": {"NPU_ACTIVE": 1500}})
    put(directory, "one", slower)
    (directory / "vela" / "two.toml").unlink()
    return project


def test_all_that_a_revision_has_is_compared(project: Path) -> None:
    config = project / "bench.toml"
    before = read_side("git:main", config)
    assert len(before.cells) == 2
    comparison = compare(before, read_side(str(project / "baselines"), config), Floors())
    # A file that is gone is no reason to compare less.
    assert comparison.only_in_a == (dense_layer_record("pruned").cell.id,)
    assert comparison.totals.regressed == 1
    assert not comparison.passed
    assert compare(before, read_side("git:HEAD", config), Floors()).passed


def test_the_working_directory_does_not_matter(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = Path(os.path.relpath(project / "bench.toml"))
    assert len(read_side("git:main", config).cells) == 2


@pytest.mark.parametrize("named", ["git:empty", "git:nothing", "git:", "git:--all"])
def test_a_revision_without_baselines_is_an_error(project: Path, named: str) -> None:
    with pytest.raises(BenchError, match=r"no baselines|no revision"):
        read_side(named, project / "bench.toml")
