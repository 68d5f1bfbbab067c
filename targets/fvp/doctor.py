"""Whether measurements on the FVP, or on what stands in for it, are possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.core.arrays import Array
from bench.core.errors import BenchError
from targets.checkup import Finding, found, missing
from targets.fvp.target import FvpTarget
from targets.settings import TargetSettings

__all__ = ["check_fvp"]


def check_fvp(settings: TargetSettings, logs: Path, *, boot: bool) -> Iterator[Finding]:
    """See `Checkup`. The executable (or container) is started once, for its version."""
    target = FvpTarget(settings.fvp, logs, _no_reference)
    try:
        target.prepare()
    except BenchError as error:
        yield missing("FVP", error)
        return
    yield found("FVP", target.fingerprint()["version"])
    yield found("runner", settings.fvp.runner.value)


def _no_reference(model: Path, inputs: Sequence[Array]) -> tuple[Array, ...]:
    raise AssertionError("a checkup runs no model")
