"""A plan in words: what must be made, how long it should take, and who would make it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.core.text import counted
from bench.plan.document import PlanDocument, PlannedStep
from bench.plan.expected import RECORD_MS, TimeSource
from bench.plan.shards import Unit, shards_of
from bench.plan.work import StepKind

__all__ = ["duration", "plan_lines"]

#: What people call the steps.
_WORDS = {
    StepKind.TRAIN: "training",
    StepKind.MODEL: "model",
    StepKind.COMPILE: "compilation",
    StepKind.REFERENCE: "reference output",
    StepKind.MEASURE: "measurement",
}


def plan_lines(document: PlanDocument, shards: int) -> Iterator[str]:
    """The lines that tell of the plan, and of each of its `shards` if there are several."""
    yield f"{counted(len(document.cells), 'cell')} on {', '.join(document.targets)}"
    for kind, word in _WORDS.items():
        steps = [step for step in document.steps if step.kind is kind]
        if steps:
            number, words = counted(len(steps), word).split(" ", 1)
            yield f"{number:>7} {words:<18} {_of(steps)}"
    left = RECORD_MS * len(document.cells) + sum(document.milliseconds().values())
    yield f"about {duration(left)} of work for one process, {_sources(document.steps)}"
    units = document.units()
    parts = counted(len(units), "part")
    yield f"{parts} that cannot be divided; more shards than that would be empty"
    if shards > 1:
        yield from _shard_lines(units, shards)


def duration(milliseconds: int) -> str:
    """`4 s`, `12 min` or `3.5 h`."""
    seconds = milliseconds / 1000
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _of(steps: Sequence[PlannedStep]) -> str:
    """How many are cached, and what the others take."""
    cached = sum(step.cached is True for step in steps)
    unknown = sum(step.cached is None for step in steps)
    left = round(1000 * sum(step.seconds for step in steps if not step.cached))
    words = [f"{cached:,} cached"]
    if unknown:
        words.append(f"{unknown:,} unknown, as only running the recipe would tell")
    if cached < len(steps):
        words.append(f"about {duration(left)}")
    return ", ".join(words)


def _sources(steps: Sequence[PlannedStep]) -> str:
    seen = sum(step.seconds_from is TimeSource.EARLIER_RUNS for step in steps)
    return f"with the times of {seen:,} of {len(steps):,} steps from earlier runs, others estimated"


def _shard_lines(units: Sequence[Unit], count: int) -> Iterator[str]:
    for number, own in enumerate(shards_of(units, count), start=1):
        cells = sum(len(unit.cells) for unit in own)
        length = duration(sum(unit.milliseconds for unit in own))
        yield (
            f"shard {number}/{count}: {counted(cells, 'cell')}, about {length}"
            if own
            else (f"shard {number}/{count}: nothing to do")
        )
