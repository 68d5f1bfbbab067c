"""`bench bisect` in a repository of a user's own, whose model changed at some time."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.core.arrays import Array
from tests.support.bench_runs import ROOT
from tests.support.models.tflite_factory import mlp
from tests.support.models.vela_files import require_vela

pytestmark = pytest.mark.slow

CELL = "net-base-u55_64-shared_sram-sim"
CONFIG = """
[grid]
macs = [64]
memory_modes = ["Shared_Sram"]
targets = ["sim"]
[history]
path = "results/history.sqlite"
[workloads]
net = "models/net.tflite"
"""


class Repository:
    """A git repository with a bench of its own; commits are counted from 0."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "project"
        self.cache = directory / "cache"
        self.temporary = directory / "tmp"
        self.commits: list[str] = []
        for path in (self.root / "models", self.temporary):
            path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        (self.root / "bench.toml").write_text(CONFIG, encoding="utf-8")
        (self.root / ".gitignore").write_text("results/\n", encoding="utf-8")

    def git(self, *arguments: str) -> str:
        settings = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        return subprocess.run(
            ["git", *settings, *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def commit(self, subject: str, model: bytes | None = None) -> None:
        if model is not None:
            (self.root / "models" / "net.tflite").write_bytes(model)
        (self.root / "notes.txt").write_text(subject, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject)
        self.commits.append(self.git("rev-parse", "HEAD"))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {k: v for k, v in os.environ.items() if not re.match("PYTEST_|XDIST", k)}
        return subprocess.Popen(
            [sys.executable, "-m", "bench.cli", "bisect", *arguments],
            cwd=self.root,
            env=environment
            | {
                "BENCH_CACHE": str(self.cache),
                "PYTHONPATH": str(ROOT),
                "TMPDIR": str(self.temporary),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def bisect(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=300)
        return process.returncode, output, errors

    def assert_clean(self) -> None:
        """No work tree is left, neither on the disk nor in git's books."""
        assert len(self.git("worktree", "list").splitlines()) == 1
        assert not [*self.temporary.glob("bench-bisect-*")]
        assert self.git("status", "--porcelain") == ""


def weights(kept: float) -> bytes:
    rng = np.random.default_rng(7)
    shapes = ((48, 64), (32, 48), (10, 32))
    layers: list[Array] = [rng.integers(-127, 128, shape).astype(np.int8) for shape in shapes]
    layers[1] = layers[1] * (rng.random(shapes[1]) < kept)
    return mlp(layers, softmax=True)


def bench(line: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """A command that the bench proposed."""
    words = shlex.split(line)
    assert words[0] == "bench"
    return subprocess.run(
        [sys.executable, "-m", "bench.cli", *words[1:]],
        cwd=ROOT,
        env=os.environ | {"BENCH_CACHE": str(cache)},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A sparse model becomes dense in commit 6; commit 3 is broken, and so is 4."""
    made = Repository(tmp_path_factory.mktemp("bisect"))
    made.commit("a sparse model", weights(0.1))
    made.commit("other notes")
    made.commit("more notes")
    made.commit("half an upload", b"TFL3")
    made.commit("words about it")
    made.commit("the whole upload", weights(0.1))
    made.commit("a dense model; its author has no idea", weights(1.0))
    made.commit("words about the dense model")
    made.commit("the last words")
    return made


def test_the_commit_that_changed_the_figure_is_found(repository: Repository) -> None:
    good, bad = repository.commits[0], repository.commits[-1]
    status, output, errors = repository.bisect(
        CELL, "encoded_weights_kib", "--good", good, "--bad", "main"
    )
    assert status == 0, output + errors
    assert f"first bad: {repository.commits[6][:10]} a dense model" in output
    assert f"last good: {repository.commits[5][:10]} the whole upload" in output
    assert "cause:     training: file sha256" in output
    steps = [line for line in output.splitlines() if line.endswith(" s)")]
    assert 4 <= len(steps) <= 7
    assert "halfway from good to bad" in output
    repository.assert_clean()
    # What it proposes in the end works.
    compared = bench(output.splitlines()[-1], repository.cache)
    assert compared.returncode == 1, compared.stderr
    assert "outputs differ first in layer dense_1" in compared.stdout
    # The same again measures nothing.
    again = repository.bisect(CELL, "encoded_weights_kib", "--good", good, "--bad", bad)
    assert again[0] == 0
    assert again[1].count("(measured before)") == len(steps)


@pytest.mark.long
def test_what_cannot_be_measured_is_told_as_an_interval(repository: Repository) -> None:
    """Between commit 2 and 6 of this metric nothing can be measured but 5, which is left out."""
    commits = repository.commits
    repository.git("branch", "-f", "short", commits[4])
    repository.git("checkout", "-q", "short")
    try:
        repository.commit("dense at once", weights(1.0))
        dense = repository.commits.pop()
    finally:
        repository.git("checkout", "-q", "main")
    status, output, errors = repository.bisect(
        CELL, "device_model_kib", "--good", commits[0], "--bad", "short"
    )
    assert status == 1, output + errors
    told = output[output.index("the first bad one is one of these") :]
    assert [commit[:10] in told for commit in (commits[3], commits[4], dense)] == [True] * 3
    assert f"the last good one is {commits[2][:10]}" in told
    assert "cannot be measured: " in output
    repository.assert_clean()


def test_ctrl_c_leaves_nothing_behind_and_the_search_goes_on(repository: Repository) -> None:
    arguments = (
        *(CELL, "npu_cycles", "--good", repository.commits[0]),
        *("--bad", repository.commits[-1]),
    )
    process = repository.start(*arguments)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("good ")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, output + errors
    assert "measured.json: 1" in errors
    assert "the same command goes on from there" in errors
    repository.assert_clean()
    process = repository.start(*arguments)
    assert process.stdout is not None
    assert process.stdout.readline().rstrip().endswith("(measured before)")
    assert process.stdout.readline().startswith("bad ")
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, output + errors
    assert "measured.json: 2" in errors
    repository.assert_clean()


def test_what_cannot_be_searched_is_one_message(repository: Repository, tmp_path: Path) -> None:
    first, last = repository.commits[0], repository.commits[-1]
    for arguments, words in (
        ((CELL, "npu_cycle", "--good", first, "--bad", last), "did you mean 'npu_cycles'?"),
        ((CELL, "npu_cycles", "--good", "nothing", "--bad", last), "'nothing' is no revision"),
        ((CELL, "npu_cycles", "--good", "--help", "--bad", last), "'--help' is no revision"),
        ((CELL, "npu_cycles", "--good", last, "--bad", first), "does not come from"),
        ((CELL, "npu_cycles", "--good", last, "--bad", "main"), "are the same revision"),
        (("no-cell", "npu_cycles", "--good", first, "--bad", last), "cannot be measured"),
        ((CELL, "npu_cycles", "--good", first, "--bad", last, "--config", str(tmp_path / "x.toml")),
         "git rev-parse"),
        ((CELL, "npu_cycles", "--over", "vela", "--good", "5.0.0", "--bad", "4.0.0"),
         "there is no lock file for Vela 4.0.0"),
    ):  # fmt: skip
        status, output, errors = repository.bisect(*arguments)
        assert status == 2, output + errors
        assert words in errors
        assert "Traceback" not in errors
    repository.assert_clean()


@pytest.mark.long
def test_versions_of_vela_are_searched_and_compared(repository: Repository, tmp_path: Path) -> None:
    require_vela("5.1.0", tmp_path)
    status, output, errors = repository.bisect(
        *(CELL, "npu_cycles", "--over", "vela", "--good", "5.1.0", "--bad", "5.2.0")
    )
    assert status == 0, output + errors
    assert "first bad: Vela 5.2.0\nlast good: Vela 5.1.0\n" in output
    assert "cause:     Vela: version 5.1.0 -> 5.2.0" in output
    # A search repeats the past: it is no part of the history.
    assert not (repository.root / "results" / "history.sqlite").exists()
    # One of them is installed beside the bench, and its cell has no version in its id.
    compared = bench(output.splitlines()[-1], repository.cache)
    assert "1 cell, 1 regressed" in compared.stdout, compared.stderr
    backwards = [*reversed(output.splitlines()[-1].split()[2:])]
    assert bench(f"bench compare {' '.join(backwards)}", repository.cache).returncode == 0
