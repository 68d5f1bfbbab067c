"""What the steps of earlier runs took, from the progress that they noted."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from bench.measuring.progress import Follower
from bench.plan.work import StepKind

__all__ = ["seen_seconds"]

#: Runs to look at, the newest first. Older ones were of other code.
_RUNS = 20
#: The reference's outputs are noted under another name.
_KINDS = frozenset({StepKind.TRAIN.value, StepKind.COMPILE.value, StepKind.MEASURE.value})


def seen_seconds(results: Path) -> dict[str, float]:
    """Id of a step -> the median of the seconds it took in the newest runs below `results`.

    A run that found a product in the cache has noted nothing of it, so what was never made there
    is missing. A directory that is not there has no runs.
    """
    found: dict[str, list[float]] = {}
    notes = sorted(results.glob("2*/progress.jsonl"), reverse=True)[:_RUNS]
    for note in notes:
        for event in Follower(note).new_events():
            if event.state == "done" and event.kind in _KINDS:
                found.setdefault(f"{event.kind}:{event.task}", []).append(event.seconds)
    return {id_: median(seconds) for id_, seconds in found.items()}
