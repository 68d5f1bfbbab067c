"""Git, asked as a program: the state of a work tree, and whatever else `git` prints.

A repository is data from outside. Its settings may name programs, so those that reading would start
are switched off. Git runs in a bounded process of its own and asks nobody for a password.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.processes import Bounds, TimedOutError, ended_words, run_to_end

__all__ = ["GitError", "WorkTree", "read_work_tree", "run_git"]

#: Seconds that git may take; a large work tree on a slow disk takes a few.
_SECONDS = 30.0

#: Before every command. A container's work tree often belongs to another user; the bench already
#: runs code from there (`conftest.py`, metrics), so git may read it too.
_SETTINGS = (
    *("-c", "safe.directory=*"),
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
)

#: What git itself sets for a hook, and what would lead it to another repository than that of the
#: directory in question (`git rev-parse --local-env-vars`, without the settings).
_OF_ANOTHER_REPOSITORY = frozenset(
    {
        *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_CONFIG", "GIT_DIR"),
        *("GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS"),
        *("GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE"),
        *("GIT_WORK_TREE", "GIT_NAMESPACE"),
    }
)


class GitError(BenchError):
    """Git is missing, refused, or took too long."""


@dataclass(frozen=True)
class WorkTree:
    """What is checked out."""

    #: The whole hash; empty before the first commit.
    commit: str
    #: Empty if HEAD is detached, as in most CI jobs.
    branch: str
    #: Whether a tracked file differs from the commit.
    dirty: bool


def run_git(
    directory: Path, *arguments: str, seconds: float = _SECONDS, environment: Mapping[str, str]
) -> str:
    """What `git ARGUMENTS` prints, run in `directory`.

    `environment` is this process's own, or as much of it as git may see.

    Raises:
        GitError: there is no git, it fails, or it takes longer than `seconds`; the message quotes
            its first words.
    """
    command = ["git", *_SETTINGS, "-C", str(directory), *arguments]
    told = f"git {' '.join(arguments)}"
    try:
        ended = run_to_end(command, Bounds(seconds), environment=_without_others(environment))
    except FileNotFoundError:
        raise GitError("git is not installed", cure="install it, or put it into PATH") from None
    except OSError as error:
        raise GitError(f"git cannot be started: {error.strerror}") from error
    except TimedOutError as late:
        raise GitError(f"{told} in {directory} did not end within {seconds:g} s") from late
    if ended.status:
        words = ended.errors.strip().splitlines() or [ended_words(ended.status)]
        raise GitError(f"{told} in {directory}: {words[0].removeprefix('fatal: ')}")
    return ended.output


def _without_others(environment: Mapping[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in environment.items() if k not in _OF_ANOTHER_REPOSITORY}
    # Reading takes no lock that would make somebody's `git commit` fail.
    return kept | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}


def read_work_tree(
    directory: Path, environment: Mapping[str, str], *, seconds: float = _SECONDS
) -> WorkTree:
    """The state of the work tree that `directory` is in; what git does not track does not count.

    Raises `GitError` outside a work tree, without git, or when it takes longer than `seconds`.
    """
    text = run_git(
        directory,
        "status",
        "--porcelain=v2",
        "--branch",
        "--untracked-files=no",
        seconds=seconds,
        environment=environment,
    )
    # The form is described in git-status(1), "Porcelain Format Version 2".
    lines = text.splitlines()
    headers = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch."))
    commit, branch = headers.get("branch.oid", ""), headers.get("branch.head", "")
    return WorkTree(
        commit="" if commit == "(initial)" else commit,
        branch="" if branch == "(detached)" else branch,
        dirty=any(not line.startswith("#") for line in lines),
    )
