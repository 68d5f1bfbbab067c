"""The work of a run as a graph: what is made, from what, and for which cells. Pure.

The graph follows from the configuration alone, so every machine has the same one. It knows neither
what a cache holds nor how long anything takes; for the latter see `bench.plan.expected`.

```text
TRAIN parent -> TRAIN variant -+-> COMPILE -> MEASURE -+-> record of a cell
       MODEL (file, address) --+-> REFERENCE ----------+
```
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from bench.plan.cell import INSTALLED_VELA, Cell
from bench.plan.config import BASE_VARIANT, BenchConfig, TrainedWorkload
from bench.plan.grid import Plan, base_of, with_bases
from targets.ethos_u55.system_configs import DEFAULT_SYSTEM_CONFIG

__all__ = ["Step", "StepKind", "Work", "work_of"]


class StepKind(str, Enum):
    """What a step makes."""

    #: A variant: trained, compressed and quantised by the builder process.
    TRAIN = "train"
    #: A quantised model that nobody trains: a file, a download, or one compressed as it is.
    MODEL = "model"
    #: What Vela makes of a quantised model.
    COMPILE = "compile"
    #: The reference interpreter's outputs of a quantised model.
    REFERENCE = "reference"
    #: A target's measurement of a cell.
    MEASURE = "measure"


@dataclass(frozen=True)
class Step:
    """One product, and the products it is made from."""

    kind: StepKind
    #: Unique among the steps of its kind; the same words that progress uses.
    name: str
    workload: str
    variant: str
    #: Ids of the steps before it.
    needs: tuple[str, ...]
    #: The first cell that needs it, which says how it is made.
    cell: Cell

    @property
    def id(self) -> str:
        """Unique and stable: `compile:mnist_fc-base-u55_128-shared_sram`."""
        return f"{self.kind.value}:{self.name}"


@dataclass(frozen=True)
class Work:
    """All steps of a plan."""

    plan: Plan
    #: Id -> step; a step comes after those it needs.
    steps: Mapping[str, Step]
    #: Cell id -> the steps that its record is made from directly. A cell is compared with its base,
    #: so that is here too where the plan has none.
    records: Mapping[str, tuple[str, ...]]

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {id_: place for place, id_ in enumerate(self.steps)}

    def before(self, cells: Iterable[Cell]) -> tuple[Step, ...]:
        """Every step before `cells` can be judged, each once, in an order that works.

        These are the steps of their records and of those of their bases.
        """
        wanted: set[str] = set()
        left = [id_ for one in with_bases(cells) for id_ in self.records[one.id]]
        while left:
            id_ = left.pop()
            if id_ not in wanted:
                wanted.add(id_)
                left += self.steps[id_].needs
        return tuple(self.steps[id_] for id_ in sorted(wanted, key=self._places.__getitem__))


def work_of(config: BenchConfig, plan: Plan) -> Work:
    """The work of `plan`, which was made of `config`."""
    maker = _Maker(config)
    cells = {one.id: one for cell in plan.cells for one in (base_of(cell), cell)}
    records = {cell.id: maker.record(cell) for cell in cells.values()}
    return Work(plan, maker.steps, records)


class _Maker:
    """Collects steps, each once."""

    def __init__(self, config: BenchConfig) -> None:
        self._config = config
        self.steps: dict[str, Step] = {}

    def record(self, cell: Cell) -> tuple[str, ...]:
        """The steps that the record of `cell` is made from directly."""
        model = self._model(cell)
        reference = self._step(StepKind.REFERENCE, cell.family, cell, (model,))
        compiled = self._step(StepKind.COMPILE, _compiled_name(cell), cell, (model,))
        return self._step(StepKind.MEASURE, cell.id, cell, (compiled,)), reference

    def _model(self, cell: Cell) -> str:
        workload = self._config.workloads[cell.workload]
        if not isinstance(workload, TrainedWorkload):
            # Other variants of a file are made from the file.
            base = cell.variant == BASE_VARIANT
            needs = () if base else (self._file(cell, BASE_VARIANT),)
            return self._file(cell, cell.variant, needs)
        if cell.variant in workload.frozen:
            return self._file(cell, cell.variant)
        return self._trained(cell, workload, cell.variant)

    def _file(self, cell: Cell, variant: str, needs: tuple[str, ...] = ()) -> str:
        return self._step(StepKind.MODEL, f"{cell.workload}-{variant}", cell, needs, variant)

    def _trained(self, cell: Cell, workload: TrainedWorkload, variant: str) -> str:
        needs: tuple[str, ...] = ()
        for ancestor in reversed(workload.lineage(variant)):
            name = f"{cell.workload}-{ancestor}"
            needs = (self._step(StepKind.TRAIN, name, cell, needs, ancestor),)
        return needs[0]

    def _step(
        self,
        kind: StepKind,
        name: str,
        cell: Cell,
        needs: tuple[str, ...],
        variant: str | None = None,
    ) -> str:
        step = Step(kind, name, cell.workload, variant or cell.variant, needs, cell)
        self.steps.setdefault(step.id, step)
        return step.id


def _compiled_name(cell: Cell) -> str:
    """A compilation is the same for all targets and timing profiles."""
    parts = [cell.family, cell.accelerator.slug, cell.memory_mode.slug]
    if cell.system_config != DEFAULT_SYSTEM_CONFIG:
        parts.append(cell.system_config.lower())
    if cell.vela != INSTALLED_VELA:
        parts.append(f"Vela {cell.vela}")
    return "-".join(parts)
