"""`bench bisect CELL METRIC --good A --bad B`: since when a figure is what it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import CacheRoot, CellId, ConfigFile

if TYPE_CHECKING:
    from bench.history.bisect import Finding, Memory, Row
    from bench.history.child_runs import ChildRuns
    from bench.plan.metrics import MetricName

__all__ = ["Over", "bisect"]

#: The exit status after Ctrl-C, as shells have it.
_INTERRUPTED = 130


class Over(str, Enum):
    """What kind of versions are searched."""

    GIT = "git"
    VELA = "vela"


def bisect(
    cell: CellId,
    metric: Annotated[str, typer.Argument(help="The metric, such as npu_cycles.")],
    good: Annotated[str, typer.Option(help="The older version: a revision, or one of Vela.")],
    bad: Annotated[str, typer.Option(help="The newer version, whose figure is another.")],
    over: Annotated[
        Over, typer.Option(help="Search git revisions or versions of Vela.")
    ] = Over.GIT,
    config: ConfigFile = Path("bench.toml"),
    minutes: Annotated[
        float, typer.Option(min=0.01, max=10_000, help="The most that one measurement may take.")
    ] = 60.0,
    cache: CacheRoot = None,
) -> None:
    """Find the first version with which a figure of a cell became what it is.

    Each step measures the cell in the middle of what is left. What was measured is kept, so the
    same command goes on after Ctrl-C. The exit status is 1 if only an interval can be told, because
    what is in it cannot be measured.
    """
    import os

    from bench.cache import default_root
    from bench.history.bisect import bisect as searched
    from bench.history.bisect import read_memory
    from bench.history.child_runs import ChildRuns

    name = _metric(metric)
    place = config.resolve().parent / "results" / "bisect"
    directory = place / f"{cell}-{name.value}-{over.value}"
    runs = ChildRuns(
        metric=name,
        directory=directory,
        cache=(cache or default_root(os.environ)).resolve(),
        seconds=60 * minutes,
        environment=dict(os.environ),
    )
    row = _row(over, good, bad, config, cell, runs)
    memory = read_memory(directory / "measured.json", cell, name)
    with _told_how_to_go_on(memory):
        finding = searched(row, name, memory, lambda line: print(line, flush=True))
    _tell(finding, row, over, directory)
    if finding.unknown:
        raise typer.Exit(1)


def _metric(text: str) -> MetricName:
    from bench.core.errors import ConfigError
    from bench.core.schema import suggest
    from bench.plan.metrics import MetricName

    known = [metric.value for metric in MetricName]
    if text not in known:
        raise ConfigError(f"unknown metric {text!r}", cure=suggest(text, known))
    return MetricName(text)


def _row(over: Over, good: str, bad: str, config: Path, cell: str, runs: ChildRuns) -> Row:
    import os

    if over is Over.GIT:
        from bench.history.revisions import revisions_between

        return revisions_between(good, bad, config, cell, runs, dict(os.environ))
    from bench.history.child_runs import own_root
    from bench.history.vela_versions import VelaVersions, versions_between
    from bench.plan.config import load_config

    names = versions_between(good, bad, load_config(config).vela.locks)
    return VelaVersions(names, own_root(), config.resolve(), cell, runs)


@contextmanager
def _told_how_to_go_on(memory: Memory) -> Iterator[None]:
    """End by Ctrl-C, SIGTERM or SIGHUP with a word on what is kept; what was started is ended."""
    import signal
    import sys

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        print(
            f"bench: stopped; measured and kept in {memory.path}: {len(memory.known.versions)}\n"
            "  -> the same command goes on from there",
            file=sys.stderr,
        )
        raise typer.Exit(_INTERRUPTED) from None


def _tell(finding: Finding, row: Row, over: Over, directory: Path) -> None:
    from bench.core.text import shell_words
    from bench.history.child_runs import cause_between

    print()
    last = row.title(finding.last_good)
    if finding.unknown:
        print("the first bad one is one of these, all but the last of which cannot be measured:")
        for position in (*finding.unknown, finding.first_bad):
            print(f"  {row.title(position)}")
        print(f"the last good one is {last}")
    else:
        print(f"first bad: {row.title(finding.first_bad)}")
        print(f"last good: {last}")
    runs = [directory / measured.run for measured in (finding.good, finding.bad)]
    cause = cause_between(*runs)
    if cause:
        print(f"cause:     {cause}")
    positions = finding.last_good, finding.first_bad
    # Cells of other versions of Vela have other ids; see `bench.cli.sides`.
    marks = [f"@{row.names[at]}" if over is Over.VELA else "" for at in positions]
    sides = [f"{run}{mark}" for run, mark in zip(runs, marks, strict=True)]
    # Somebody may have removed the runs of a search that began long ago.
    if all(run.is_dir() for run in runs):
        print(shell_words(["bench", "compare", *sides]))
