"""What a run says of the commit it was made of: real repositories, in all their states."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.assembly.surroundings import read_surroundings
from bench.core.git import GitError, read_work_tree, run_git
from bench.records.run import RunManifest

CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "GITHUB_", "CI"))}


def git(directory: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=directory, env=CLEAN, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with one commit on the branch `trunk`."""
    path = tmp_path / "tree"
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=trunk")
    (path / "bench.toml").write_text("[grid]\n", encoding="utf-8")
    git(path, "add", ".")
    git(path, "commit", "--quiet", "--message=one")
    return path


def test_the_commit_the_branch_and_whether_it_was_changed(tree: Path) -> None:
    commit = git(tree, "rev-parse", "HEAD")
    found = read_surroundings(tree / "bench.toml", CLEAN).revision
    assert (found.commit, found.branch, found.dirty, found.absent) == (commit, "trunk", False, "")
    # What a run leaves behind does not make it another revision.
    (tree / "results").mkdir()
    (tree / "results" / "run.json").write_text("{}", encoding="utf-8")
    assert not read_work_tree(tree / "results", CLEAN).dirty
    (tree / "bench.toml").write_text("[grid]\nmacs = [32]\n", encoding="utf-8")
    assert read_work_tree(tree, CLEAN).dirty
    git(tree, "add", ".")
    assert read_work_tree(tree, CLEAN).dirty


def test_a_detached_head_has_the_branch_of_the_ci_job(tree: Path) -> None:
    git(tree, "checkout", "--quiet", "--detach")
    assert read_surroundings(tree / "bench.toml", CLEAN).revision.branch == ""
    job = CLEAN | {"CI_JOB_URL": "https://gitlab.local/-/jobs/9", "CI_COMMIT_BRANCH": "trunk"}
    found = read_surroundings(tree / "bench.toml", job)
    assert found.revision.branch == "trunk"
    assert found.ci_job.address == "https://gitlab.local/-/jobs/9"


def test_before_the_first_commit_there_is_a_reason(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch=trunk")
    found = read_surroundings(tmp_path / "bench.toml", CLEAN).revision
    assert (found.commit, found.branch, found.absent) == ("", "trunk", "there is no commit yet")


def test_outside_a_work_tree_there_is_a_reason(tmp_path: Path) -> None:
    found = read_surroundings(tmp_path / "bench.toml", CLEAN).revision
    assert found.commit == ""
    assert "not a git repository" in found.absent


def test_without_git_there_is_a_reason(tree: Path, tmp_path: Path) -> None:
    found = read_surroundings(tree / "bench.toml", CLEAN | {"PATH": str(tmp_path / "none")})
    assert found.revision.absent == "git is not installed"
    assert found.tools["ethos-u-vela"]


def test_a_git_that_hangs_is_ended(tree: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nsleep 600\n", encoding="utf-8")
    program.chmod(0o755)
    environment = CLEAN | {"PATH": f"{program.parent}:{CLEAN['PATH']}"}
    with pytest.raises(GitError, match=r"did not end within 0\.5 s"):
        read_work_tree(tree, environment, seconds=0.5)


def test_a_damaged_repository_is_a_reason(tree: Path) -> None:
    shutil.rmtree(tree / ".git" / "refs")
    found = read_surroundings(tree / "bench.toml", CLEAN).revision
    assert found.commit == ""
    assert found.absent


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a repository away")
def test_somebody_elses_work_tree_is_read(tree: Path) -> None:
    """As in a container, whose work tree belongs to the user outside."""
    for path in (tree, *tree.rglob("*")):
        os.chown(path, 12345, 12345)
    assert read_work_tree(tree, CLEAN).branch == "trunk"


def test_a_repository_starts_no_program_of_its_own(tree: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path / 'started'}\n", encoding="utf-8")
    program.chmod(0o755)
    git(tree, "config", "core.fsmonitor", str(program))
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    shutil.copy(program, hooks / "post-checkout")
    git(tree, "config", "core.hooksPath", str(hooks))
    (tmp_path / "started").unlink(missing_ok=True)
    (tree / "bench.toml").touch()
    read_work_tree(tree, CLEAN)
    run_git(tree, "checkout", "--detach", environment=CLEAN)
    assert not (tmp_path / "started").exists()


def test_a_hooks_repository_is_not_taken_for_the_directorys(tree: Path, tmp_path: Path) -> None:
    """A bench in a hook of another repository: git has set `GIT_DIR` to that one."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet", "--initial-branch=wrong")
    found = read_work_tree(tree, CLEAN | {"GIT_DIR": str(other / ".git")})
    assert found.branch == "trunk"


def test_a_command_that_fails_says_why(tree: Path) -> None:
    with pytest.raises(GitError, match=r"git rev-parse --verify nothing in .*: Needed a single"):
        run_git(tree, "rev-parse", "--verify", "nothing", environment=CLEAN)


def test_an_older_manifest_says_that_it_does_not_know() -> None:
    text = json.dumps(
        {
            **{"started": "2026-11-01T10:00:00+0000", "host": "h", "python": "3", "platform": "p"},
            **{"config_path": "c", "config_sha256": "", "data": "d", "planned_cells": []},
        }
    )
    found = RunManifest.model_validate_json(text).surroundings
    assert "before" in found.revision.absent
    assert "before" in found.ci_job.absent
