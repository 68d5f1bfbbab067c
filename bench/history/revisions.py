"""The git revisions between two, each checked out beside the others to be measured."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import ConfigError
from bench.core.git import GitError, run_git
from bench.core.logging import logger
from bench.core.processes.signals import STOPPING, SignalsHeldBack
from bench.core.text import one_line
from bench.history.bisect import Measured
from bench.history.child_runs import ChildRuns, own_root

__all__ = ["Revisions", "revisions_between"]

_LOG = logger(__name__)

#: Seconds that git may take to check out a work tree.
_CHECKOUT_S = 600.0


@dataclass(frozen=True)
class Revisions:
    """The commits of a line of history, with the bench or its configuration in each."""

    names: tuple[str, ...]
    subjects: tuple[str, ...]
    repository: Path
    #: The configuration, relative to the repository's root.
    config: Path
    cell: str
    runs: ChildRuns
    environment: Mapping[str, str]

    def title(self, position: int) -> str:
        """The commit's abbreviated hash and its subject."""
        return one_line(f"{self.names[position][:10]} {self.subjects[position][:50]}")

    def measure(self, position: int) -> Measured:
        """See `Row.measure`. The commit is checked out in a directory of its own meanwhile."""
        name = self.names[position]
        with self._work_tree(name) as place:
            # A repository of the bench itself is measured by its own code, others by this bench.
            root = place if (place / "bench" / "pytest_plugin").is_dir() else own_root()
            return self.runs.measure(self.cell, root, place / self.config, name[:12])

    @contextlib.contextmanager
    def _work_tree(self, name: str) -> Iterator[Path]:
        # No signal comes between the making or the end of the directory and its note.
        with SignalsHeldBack(*STOPPING) as held_back:
            parent = Path(tempfile.mkdtemp(prefix="bench-bisect-")).resolve()
            place = parent / "tree"
            try:
                # Ended in the middle, it would leave the repository's books half-written.
                self._git("worktree", "add", "--detach", "--no-checkout", str(place), name)
                with held_back.let_through():
                    self._git("-C", str(place), "reset", "--hard", "--quiet")
                    yield place
            finally:
                self._remove(parent)

    def _remove(self, parent: Path) -> None:
        shutil.rmtree(parent, ignore_errors=True)
        if parent.exists():
            _LOG.warning("%s cannot be removed; remove it by hand", parent)
        # Of this one, and of those whose bench was killed.
        with contextlib.suppress(GitError):
            self._git("worktree", "prune")

    def _git(self, *arguments: str) -> str:
        return run_git(
            self.repository, *arguments, seconds=_CHECKOUT_S, environment=self.environment
        )


def revisions_between(
    good: str,
    bad: str,
    config: Path,
    cell: str,
    runs: ChildRuns,
    environment: Mapping[str, str],
) -> Revisions:
    """The commits from `good` to `bad` along the first parents, of the repository of `config`.

    Raises `GitError` outside a repository, and `ConfigError` if `bad` does not come from `good`.
    """
    whole = config.resolve()
    here = whole.parent
    root = Path(run_git(here, "rev-parse", "--show-toplevel", environment=environment).strip())

    def commit(named: str) -> str:
        try:
            return run_git(
                root,
                *("rev-parse", "--verify", "--quiet", "--end-of-options", f"{named}^{{commit}}"),
                environment=environment,
            ).strip()
        except GitError:
            raise ConfigError(
                f"{named!r} is no revision of {root}",
                cure="give a commit, a tag or a branch; in a shallow clone: git fetch --unshallow",
            ) from None

    first, last = commit(good), commit(bad)
    if first == last:
        raise ConfigError(
            f"{good} and {bad} are the same revision, {first[:10]}",
            cure="name two revisions whose figures differ",
        )
    text = run_git(
        root,
        *("log", "--reverse", "--first-parent", "--ancestry-path", "-z", "--format=%H %s"),
        f"{first}..{last}",
        "--",
        environment=environment,
    )
    line = [tuple(each.partition(" ")[::2]) for each in text.split("\0") if each]
    if not line:
        raise ConfigError(
            f"{bad} does not come from {good}, so no revision lies between them",
            cure=f"swap them if {bad} is older, or name their last common one: "
            f"git merge-base {good} {bad}",
        )
    subject = run_git(root, "log", "-1", "--format=%s", first, "--", environment=environment)
    return Revisions(
        names=(first, *(name for name, _ in line)),
        subjects=(subject.strip(), *(told for _, told in line)),
        repository=root,
        config=whole.relative_to(root.resolve()),
        cell=cell,
        runs=runs,
        environment=environment,
    )
