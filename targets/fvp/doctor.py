"""Whether measurements on the FVP, or on what stands in for it, are possible."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.core.errors import BenchError
from bench.tflite.reference import ReferenceRunner
from targets.checkup import Finding, found, missing
from targets.fvp.target import FvpTarget
from targets.settings import TargetSettings

__all__ = ["check_fvp"]


def check_fvp(settings: TargetSettings, logs: Path, *, boot: bool) -> Iterator[Finding]:
    """See `Checkup`. The executable (or container) is started once, for its version."""
    target = FvpTarget(settings.fvp, logs, ReferenceRunner())
    try:
        target.prepare()
    except BenchError as error:
        yield missing("FVP", error)
        return
    yield found("FVP", target.fingerprint()["version"])
    yield found("runner", settings.fvp.runner.value)
