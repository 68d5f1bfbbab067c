"""Baselines as a git revision has them, so that a branch is compared with where it began.

A pull request is compared with `git:merge-base`. What others merged meanwhile is then neither its
fault nor its merit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.baselines.accepted import BaselineSet
from bench.baselines.files import FileName, path_of
from bench.baselines.text import parse
from bench.core.errors import BenchError
from bench.core.git import GitError, run_git

__all__ = ["GIT", "files_of_revision", "read_revision"]

#: What a revision begins with, on the command line.
GIT = "git:"

_MERGE_BASE = "merge-base"
#: Where CI says which branch a pull request is for: GitHub, GitLab, Bitbucket, Azure, Jenkins.
_TARGET_BRANCH = (
    "GITHUB_BASE_REF",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME",
    "BITBUCKET_PR_DESTINATION_BRANCH",
    "SYSTEM_PULLREQUEST_TARGETBRANCHNAME",
    "CHANGE_TARGET",
)
#: Where a branch comes from, if nobody says.
_USUAL = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
_DEEPER = "fetch more of the history: git fetch --unshallow, or fetch-depth: 0 of actions/checkout"


def read_revision(
    text: str, directory: Path, names: Iterable[FileName], environment: Mapping[str, str]
) -> BaselineSet:
    """The files of baselines `directory` as `text` has them.

    `text` is a revision as git knows it, `merge-base`, or `merge-base:BRANCH`. A file that the
    revision does not have has no figures.

    Raises:
        BenchError: there is no such revision, or a file of it is damaged.
        GitError: there is no git, or no repository.
    """
    place = _existing(directory)
    commit = _commit(text, place, environment)
    top = Path(run_git(place, "rev-parse", "--show-toplevel", environment=environment).strip())
    origin = f"{GIT}{commit[:12]}"
    files = {}
    for name in names:
        path = path_of(directory.resolve(), name)
        if not path.is_relative_to(top):
            raise BenchError(
                f"{path}: is outside the repository {top}, so {GIT}{text} has no such file"
            )
        inside = path.relative_to(top).as_posix()
        if not run_git(place, "ls-tree", commit, "--", f":/{inside}", environment=environment):
            continue
        content = run_git(place, "show", f"{commit}:{inside}", environment=environment)
        try:
            files["/".join(name)] = parse(content, f"{origin}:{inside}")
        except ValueError as error:
            raise BenchError(f"{origin}:{inside}: is no baselines file: {error}") from error
    return BaselineSet(origin=origin, files=files)


def files_of_revision(
    text: str, directory: Path, environment: Mapping[str, str]
) -> tuple[FileName, ...]:
    """The targets and workloads that have a file in `directory` as `text` has it, sorted.

    Raises like `read_revision`.
    """
    place = _existing(directory)
    commit = _commit(text, place, environment)
    top = Path(run_git(place, "rev-parse", "--show-toplevel", environment=environment).strip())
    if not directory.resolve().is_relative_to(top):
        raise BenchError(f"{directory}: is outside the repository {top}")
    inside = directory.resolve().relative_to(top)
    words = ("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit, "--", str(inside))
    paths = map(Path, run_git(place, *words, environment=environment).split("\0"))
    below = (path.relative_to(inside) for path in paths if path.is_relative_to(inside))
    return tuple(
        sorted(
            (path.parts[0], path.stem)
            for path in below
            if path.match("*/*.toml") and len(path.parts) == 2
        )
    )


def _existing(directory: Path) -> Path:
    """The nearest directory that exists, to ask git in; baselines may not be made yet."""
    place = directory.resolve()
    while not place.is_dir():
        place = place.parent
    return place


def _commit(text: str, place: Path, environment: Mapping[str, str]) -> str:
    if text == _MERGE_BASE or text.startswith(f"{_MERGE_BASE}:"):
        branch = text.partition(":")[2] or _branch(place, environment)
        try:
            return run_git(place, "merge-base", "HEAD", branch, environment=environment).strip()
        except GitError as error:
            raise BenchError(
                f"{GIT}{text}: HEAD and {branch} have no common commit here: {error.what}",
                cure=_DEEPER,
            ) from error
    return _verified(text, place, environment)


def _verified(text: str, place: Path, environment: Mapping[str, str]) -> str:
    if not text or text.startswith("-"):
        raise BenchError(f"{GIT}{text}: is no revision", cure=f"for example {GIT}main")
    try:
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{text}^{{commit}}")
        return run_git(place, *words, environment=environment).strip()
    except GitError as error:
        raise BenchError(
            f"{GIT}{text}: is no revision of the repository of {place}", cure=_DEEPER
        ) from error


def _branch(place: Path, environment: Mapping[str, str]) -> str:
    """The branch that the checked-out one is for."""
    told = [environment[name] for name in _TARGET_BRANCH if environment.get(name)]
    wanted = [*(f"origin/{name.removeprefix('refs/heads/')}" for name in told), *told]
    for name in wanted or _USUAL:
        try:
            _verified(name, place, environment)
        except BenchError:
            continue
        return name
    raise BenchError(
        f"{GIT}{_MERGE_BASE}: no branch is known to compare with (tried "
        f"{', '.join(wanted or _USUAL)})",
        cure=f"name it: {GIT}{_MERGE_BASE}:BRANCH; or {_DEEPER}",
    )
