"""Cells measured again and again, to see how much their figures vary while nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from bench.assembly.session import Tools
from bench.judging.comparison import DETERMINISTIC
from bench.measuring.engine import Engine
from bench.plan.cell import Cell
from bench.plan.config import BenchConfig, TrainedWorkload
from bench.records.record import Record
from targets.protocol import Source

__all__ = ["Repeated", "Variation", "repeat_cells", "variation_of", "with_seeds"]

_SEEDS = 1 << 32


class Variation(str, Enum):
    """What makes the figures of a cell vary."""

    #: Its model is trained: another seed gives another model.
    SEED = "other seeds"
    #: Its target does not repeat its counts.
    TARGET = "measured again"
    #: Nothing: the model stays, and the target always counts the same.
    NOTHING = "nothing varies"


@dataclass(frozen=True)
class Repeated:
    """A cell and its record in each run."""

    cell: Cell
    variation: Variation
    records: tuple[Record, ...]


def variation_of(config: BenchConfig, cell: Cell, source: Source) -> Variation:
    """What makes the figures of `cell` vary, on a target whose counts come from `source`."""
    workload = config.workloads[cell.workload]
    if isinstance(workload, TrainedWorkload) and cell.variant not in workload.frozen:
        return Variation.SEED
    return Variation.NOTHING if source in DETERMINISTIC else Variation.TARGET


def with_seeds(config: BenchConfig, number: int) -> BenchConfig:
    """`config` with the seed of each trained workload raised by `number`."""
    workloads = {
        name: workload.model_copy(update={"seed": (workload.seed + number) % _SEEDS})
        if isinstance(workload, TrainedWorkload)
        else workload
        for name, workload in config.workloads.items()
    }
    return config.model_copy(update={"workloads": workloads})


def repeat_cells(
    tools: Tools,
    cells: Mapping[Cell, Variation],
    runs: int,
    tell: Callable[[Cell, int], None],
) -> tuple[Repeated, ...]:
    """Measure each of `cells` `runs` times, through the cache, as a run does.

    The first time is the measurement that every run makes. `tell` hears of each that is there. What
    was done is kept: after an interruption the same call goes on from there.

    Raises `BenchError` for the first cell that cannot be measured.
    """
    found: dict[Cell, list[Record]] = {cell: [] for cell in cells}
    config = tools.setup.config
    seeded = [cell for cell, why in cells.items() if why is Variation.SEED]
    measured = [cell for cell, why in cells.items() if why is Variation.TARGET]
    for number in range(runs):
        engines: Iterable[tuple[Engine, Sequence[Cell]]] = (
            (tools.engine(with_seeds(config, number), seeded), seeded),
            (tools.engine(config, measured, repetition=number), measured),
        )
        for engine, own in engines:
            for cell in own:
                found[cell].append(engine.record(cell))
                tell(cell, number)
    return tuple(Repeated(cell, why, tuple(found[cell])) for cell, why in cells.items())
