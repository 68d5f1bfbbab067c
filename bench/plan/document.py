"""A plan as a file: `bench plan -o plan.json`; `bench schema plan` prints its JSON Schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from bench.core.errors import ConfigError
from bench.core.files import reason
from bench.core.schema import RecordModel
from bench.plan.expected import RECORD_MS, Expected, TimeSource
from bench.plan.grid import base_of
from bench.plan.shards import Unit, units_of
from bench.plan.work import StepKind, Work

__all__ = [
    "PlanDocument",
    "PlannedCell",
    "PlannedStep",
    "planned_cells",
    "planned_steps",
    "read_plan",
]


class PlannedStep(RecordModel):
    """A product, and what it is made from."""

    id: str
    kind: StepKind
    name: str
    workload: str
    variant: str
    #: Ids of the steps before it.
    needs: tuple[str, ...]
    #: Expected, if it is made: seconds on the machine that made the plan.
    seconds: float = Field(ge=0, le=1e7)
    seconds_from: TimeSource
    #: Whether the cache held it when the plan was made; None if only running a recipe would tell.
    cached: bool | None


class PlannedCell(RecordModel):
    """A cell, and what must be made before it can be judged."""

    id: str
    #: The last steps of its record, and of the record of its base.
    needs: tuple[str, ...]
    #: Cells of one unit stay on one machine: they share a training, or are judged together.
    unit: int


class PlanDocument(RecordModel):
    """A plan."""

    schema_version: Literal[1] = 1
    config_path: str
    #: The hash of the configuration, as runs note it.
    config_sha256: str
    targets: tuple[str, ...]
    #: The versions of Vela, as cells have them.
    velas: tuple[str, ...]
    cells: tuple[PlannedCell, ...]
    #: A step comes after those it needs.
    steps: tuple[PlannedStep, ...]
    #: Distribution -> version.
    tools: dict[str, str]
    #: Distribution -> why its version is not known.
    tools_absent: dict[str, str]
    #: The container image in which the plan was made; empty for the reason in `image_absent`.
    image: str
    image_absent: str

    @model_validator(mode="after")
    def _holds_together(self) -> PlanDocument:
        """Every step comes after those it needs, so the graph has no circle and no loose end."""
        known: set[str] = set()
        for step in self.steps:
            for needed in step.needs:
                if needed not in known:
                    raise ValueError(f"steps: {step.id!r} needs {needed!r}, which is not before it")
            known.add(step.id)
        for cell in self.cells:
            for needed in cell.needs:
                if needed not in known:
                    raise ValueError(f"cells: {cell.id!r} needs {needed!r}, which is no step")
        return self

    def milliseconds(self) -> dict[str, int]:
        """Id of a step -> what it still costs; nothing if the cache held its product."""
        return {one.id: 0 if one.cached else round(1000 * one.seconds) for one in self.steps}

    def units(self) -> tuple[Unit, ...]:
        """What stays on one machine, with what it still costs there."""
        left, before = self.milliseconds(), {one.id: one.needs for one in self.steps}
        members: dict[int, list[PlannedCell]] = {}
        for cell in self.cells:
            members.setdefault(cell.unit, []).append(cell)
        return tuple(
            Unit(
                tuple(cell.id for cell in cells),
                RECORD_MS * len(cells) + sum(left[id_] for id_ in _all_before(cells, before)),
            )
            for cells in members.values()
        )


def _all_before(
    cells: Iterable[PlannedCell], before: Mapping[str, tuple[str, ...]]
) -> frozenset[str]:
    """Ids of all steps that `cells` need, however far back."""
    found: set[str] = set()
    open_ones = [id_ for cell in cells for id_ in cell.needs]
    while open_ones:
        id_ = open_ones.pop()
        if id_ not in found:
            found.add(id_)
            open_ones += before[id_]
    return frozenset(found)


def planned_cells(work: Work) -> tuple[PlannedCell, ...]:
    """The cells of `work` for a document."""
    units = units_of(work, dict.fromkeys(work.steps, 0))
    unit_of = {id_: number for number, unit in enumerate(units) for id_ in unit.cells}
    return tuple(
        PlannedCell(
            id=cell.id,
            needs=tuple(dict.fromkeys((*work.records[cell.id], *work.records[base_of(cell).id]))),
            unit=unit_of[cell.id],
        )
        for cell in work.plan.cells
    )


def planned_steps(
    work: Work, expected: Mapping[str, Expected], cached: Mapping[str, bool | None]
) -> tuple[PlannedStep, ...]:
    """The steps of `work` for a document; `expected` and `cached` have all of them, by id."""
    return tuple(
        PlannedStep(
            id=id_,
            kind=step.kind,
            name=step.name,
            workload=step.workload,
            variant=step.variant,
            needs=step.needs,
            seconds=expected[id_].milliseconds / 1000,
            seconds_from=expected[id_].source,
            cached=cached[id_],
        )
        for id_, step in work.steps.items()
    )


def read_plan(path: Path) -> PlanDocument:
    """The plan in the file at `path`. Raises `ConfigError` if there is none."""
    try:
        return PlanDocument.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {reason(error)}", cure="make it: bench plan -o plan.json"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{path}: is no plan of this version of the bench: {place}: {first['msg']}",
            cure="make it again: bench plan -o plan.json",
        ) from error
