"""How long the steps of a run are expected to take, if nothing of them was made before. Pure.

What was seen in earlier runs counts. For what was never seen there is a model, written down here:
it is coarse, and only balances shards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from bench.plan.config import BenchConfig, TrainedWorkload
from bench.plan.work import Step, StepKind, Work

__all__ = ["RECORD_MS", "Expected", "TimeSource", "expected_times"]

#: Milliseconds to judge a cell and to write and report its record, whatever the cache holds: five
#: or six tests of a warm run of the default grid.
RECORD_MS = 100

# Medians of the progress of some sixty trainings of the MNIST recipes and of 400 measurements, on a
# busy machine of two cores. Trainings of 1 to 4 epochs took 7 to 56 s.
_TRAIN_MS, _EPOCH_MS = 5_000, 8_000
_MODEL_MS, _COMPILE_MS, _REFERENCE_MS = 100, 100, 330
#: A measurement, by target. An FVP starts for each cell; a board is programmed for each.
_MEASURE_MS = {"sim": 600, "vela": 150, "fvp": 2_000, "mps3": 5_000}


class TimeSource(str, Enum):
    """Where an expected time comes from."""

    #: The median of what earlier runs on this machine took.
    EARLIER_RUNS = "earlier runs"
    #: The constants of `bench.plan.expected`.
    MODEL = "model"


@dataclass(frozen=True)
class Expected:
    """How long a step should take."""

    milliseconds: int
    source: TimeSource


def expected_times(
    config: BenchConfig, work: Work, seen: Mapping[str, float] | None = None
) -> dict[str, Expected]:
    """Id of each step of `work` -> its expected time.

    `seen` has the seconds that steps took in earlier runs, by their ids.
    """
    return {
        id_: Expected(round(1000 * seen[id_]), TimeSource.EARLIER_RUNS)
        if seen and id_ in seen
        else Expected(_modelled(config, step), TimeSource.MODEL)
        for id_, step in work.steps.items()
    }


def _modelled(config: BenchConfig, step: Step) -> int:
    """Milliseconds. Whole numbers, so that sums are the same on every machine."""
    if step.kind is StepKind.TRAIN:
        workload = config.workloads[step.workload]
        assert isinstance(workload, TrainedWorkload)
        epochs = float(getattr(workload.variants[step.variant], "epochs", 0) or 0)
        return _TRAIN_MS + round(_EPOCH_MS * epochs)
    if step.kind is StepKind.MEASURE:
        return _MEASURE_MS.get(step.cell.target, _MEASURE_MS["sim"])
    others = {
        StepKind.MODEL: _MODEL_MS,
        StepKind.COMPILE: _COMPILE_MS,
        StepKind.REFERENCE: _REFERENCE_MS,
    }
    return others[step.kind]
