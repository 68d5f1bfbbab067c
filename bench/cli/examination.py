"""The checks of `bench doctor`: everything that a run needs."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.cache import ArtefactCache, default_root
from bench.compiler import beside_the_bench, shipped_locks
from bench.core.errors import BenchError, CacheError
from bench.core.text import paragraph
from bench.measuring.compilation import VelaInstallations
from bench.measuring.progress import ignore
from bench.plan.cell import INSTALLED_VELA
from bench.plan.config import BenchConfig, TrainedWorkload
from models.extra import training_versions
from targets.checkup import Finding, State, found, missing
from targets.registry import TARGETS

__all__ = ["BENCH", "examine", "lines_of"]

#: The name for findings that concern all targets.
BENCH = "bench"
_ROOM_BYTES = 1 << 30
_MARKS = {State.OK: "ok     ", State.NOTE: "note   ", State.MISSING: "MISSING"}


def examine(
    targets: Sequence[str], config: BenchConfig, *, boot: bool
) -> Iterator[tuple[str, Finding]]:
    """Check the bench and `targets`; yields (target or `BENCH`, finding) as they are made."""
    for finding in _bench(config, os.environ):
        yield BENCH, finding
    with tempfile.TemporaryDirectory(prefix="bench-doctor-") as name:
        for target in targets:
            for finding in TARGETS[target].check(config.targets, Path(name), boot=boot):
                yield target, finding


def lines_of(finding: Finding) -> list[str]:
    """A finding as text: a line, and one more for the cure."""
    lines = [f"  {_MARKS[finding.state]} {finding.what}: {paragraph(finding.text)}"]
    if finding.cure:
        lines.append(f"          -> {paragraph(finding.cure)}")
    return lines


def _bench(config: BenchConfig, environment: Mapping[str, str]) -> Iterator[Finding]:
    yield found("python", sys.version.split()[0])
    root = default_root(environment)
    if INSTALLED_VELA in config.grid.vela:
        try:
            yield found("vela", beside_the_bench().version)
        except BenchError as error:
            yield missing("vela", error)
    yield _training(config)
    yield from _velas(config, VelaInstallations(ArtefactCache(root), config.vela.locks, ignore))
    yield _cache(root)


def _training(config: BenchConfig) -> Finding:
    """What trains, which finished models do without."""
    try:
        return found("training", f"TensorFlow {training_versions()['tensorflow']}")
    except BenchError as error:
        trained = [n for n, w in config.workloads.items() if isinstance(w, TrainedWorkload)]
        if trained:
            return missing("training", error)
        text = "not installed, and needed only for workloads that the bench trains"
        return Finding("training", State.NOTE, text, error.cure)


def _velas(config: BenchConfig, installations: VelaInstallations) -> Iterator[Finding]:
    """The other versions: those of the grid, and those that are ready."""
    wanted = [vela for vela in config.grid.vela if vela != INSTALLED_VELA]
    for vela in dict.fromkeys([*wanted, *config.vela.locks, *shipped_locks()]):
        try:
            ready = installations.find(vela) is not None
        except BenchError as error:
            yield missing(f"vela {vela}", error)
            continue
        if ready:
            yield found(f"vela {vela}", "installed in the cache")
        elif vela in wanted:
            text = "not installed yet: the first run installs it, with pip and by hash"
            yield Finding(f"vela {vela}", State.NOTE, text)


def _cache(root: Path) -> Finding:
    place = root
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK):
        return missing(
            "cache", CacheError(f"{place} cannot be written", cure="set BENCH_CACHE elsewhere")
        )
    free = shutil.disk_usage(place).free
    if free < _ROOM_BYTES:
        return missing(
            "cache",
            CacheError(
                f"{root}: {free >> 20:,} MiB are free", cure="bench cache gc, or set BENCH_CACHE"
            ),
        )
    return found("cache", f"{root}, {free >> 30:,} GiB free")
