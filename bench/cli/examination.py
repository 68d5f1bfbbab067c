"""The checks of `bench doctor`: everything that a run needs."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from bench.cache import default_root
from bench.compiler import require_vela
from bench.core.errors import BenchError, CacheError
from bench.core.text import paragraph
from targets.checkup import Finding, State, found, missing
from targets.registry import TARGETS
from targets.settings import TargetSettings

__all__ = ["BENCH", "examine", "lines_of"]

#: The name for findings that concern all targets.
BENCH = "bench"
_ROOM_BYTES = 1 << 30
_MARKS = {State.OK: "ok     ", State.NOTE: "note   ", State.MISSING: "MISSING"}


def examine(
    targets: Sequence[str], settings: TargetSettings, *, boot: bool
) -> Iterator[tuple[str, Finding]]:
    """Check the bench and `targets`; yields (target or `BENCH`, finding) as they are made."""
    for finding in _bench(os.environ):
        yield BENCH, finding
    with tempfile.TemporaryDirectory(prefix="bench-doctor-") as name:
        for target in targets:
            for finding in TARGETS[target].check(settings, Path(name), boot=boot):
                yield target, finding


def lines_of(finding: Finding) -> list[str]:
    """A finding as text: a line, and one more for the cure."""
    lines = [f"  {_MARKS[finding.state]} {finding.what}: {paragraph(finding.text)}"]
    if finding.cure:
        lines.append(f"          -> {paragraph(finding.cure)}")
    return lines


def _bench(environment: Mapping[str, str]) -> Iterator[Finding]:
    yield found("python", sys.version.split()[0])
    try:
        require_vela()
        yield found("vela", version("ethos-u-vela"))
    except BenchError as error:
        yield missing("vela", error)
    yield _cache(default_root(environment))


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
