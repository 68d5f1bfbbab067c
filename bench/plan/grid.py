"""The plan: from a configuration to the cells to measure and the groups to judge together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from math import prod

from bench.core.errors import ConfigError
from bench.plan.cell import Cell
from bench.plan.config import BASE_VARIANT, BenchConfig
from targets.ethos_u55.accelerators import Accelerator

__all__ = ["MOST_CELLS", "Group", "Plan", "base_of", "make_plan", "with_bases"]

#: Cells of one run: weeks of work, and thousands of times the default grid.
MOST_CELLS = 100_000


@dataclass(frozen=True)
class Group:
    """Cells that are judged together: a MAC sweep, or the variants of one configuration."""

    id: str
    cells: tuple[Cell, ...]

    @property
    def workload(self) -> str:
        """The workload that all cells of the group share."""
        return self.cells[0].workload


@dataclass(frozen=True)
class Plan:
    """What one run has to do. Built from the configuration alone, so every worker agrees."""

    cells: tuple[Cell, ...]
    #: Cells that differ only in their accelerator, which rises.
    sweeps: tuple[Group, ...]
    #: Cells that differ only in their variant, in the workload's order.
    orders: tuple[Group, ...]

    @property
    def workloads(self) -> frozenset[str]:
        """The names of the workloads that have cells in the plan."""
        return frozenset(cell.workload for cell in self.cells)

    def cell(self, cell_id: str) -> Cell:
        """The cell of that id. Raises KeyError for an id that is not in the plan."""
        return next(c for c in self.cells if c.id == cell_id)


def make_plan(
    config: BenchConfig,
    targets: Iterable[str] | None = None,
    velas: Iterable[str] | None = None,
) -> Plan:
    """Expand the grid of `config`; `targets` and `velas` override the configured ones.

    Cells are ordered variant by variant, alternating between workloads, so that neighbouring
    workers begin with different trainings.

    Raises:
        ConfigError: the grid is empty, names a cell twice, or has more than `MOST_CELLS`.
    """
    grid = config.grid
    names = grid.workloads or tuple(config.workloads)
    axes = (
        *(grid.macs, grid.memory_modes, grid.system_configs, grid.timing_profiles),
        tuple(velas or grid.vela),
        tuple(targets or grid.targets),
    )
    # Before anything is expanded: a product of long lists fills all memory.
    count = sum(len(_variants_of(config, name)) for name in names) * prod(map(len, axes))
    if count > MOST_CELLS:
        raise ConfigError(
            f"the grid has {count:,} cells, more than {MOST_CELLS:,}",
            cure="narrow the [grid] section of the configuration, or split it into several files",
        )
    cells = []
    for variant in _all_variants(config, names):
        for name in names:
            if variant not in _variants_of(config, name):
                continue
            cells += [
                Cell(name, variant, macs, mode, target, system, timing, vela)
                for macs, mode, system, timing, vela, target in product(*axes)
            ]
    if not cells:
        raise ConfigError(
            "the grid is empty: no combination of workloads, variants, macs, memory_modes and "
            "targets is left, so there is nothing to measure",
            cure="widen the [grid] section of the configuration",
        )
    if len({cell.id for cell in cells}) != len(cells):
        raise ConfigError("the grid names the same cell twice", cure="remove the repeated value")
    return Plan(tuple(cells), _sweeps(cells), _orders(config, cells))


def _variants_of(config: BenchConfig, workload: str) -> tuple[str, ...]:
    wanted = config.grid.variants
    return tuple(v for v in config.workloads[workload].variants if not wanted or v in wanted)


def _all_variants(config: BenchConfig, workloads: Iterable[str]) -> tuple[str, ...]:
    """Every variant of `workloads`, parents before children as the configuration has them."""
    return tuple(dict.fromkeys(v for w in workloads for v in _variants_of(config, w)))


def _sweeps(cells: list[Cell]) -> tuple[Group, ...]:
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.id.replace(f"-{cell.accelerator.slug}-", "-", 1), []).append(cell)
    return tuple(
        Group(key, tuple(sorted(group, key=lambda c: c.accelerator)))
        for key, group in groups.items()
        if len({c.accelerator for c in group}) > 1
    )


def _orders(config: BenchConfig, cells: list[Cell]) -> tuple[Group, ...]:
    groups: dict[tuple[str, Accelerator, str], list[Cell]] = {}
    for cell in cells:
        if cell.variant in config.workloads[cell.workload].order:
            tail = cell.id.removeprefix(f"{cell.family}-")
            groups.setdefault((cell.workload, cell.accelerator, tail), []).append(cell)
    result = []
    for (workload, _, tail), group in groups.items():
        order = config.workloads[workload].order
        ranked = tuple(sorted(group, key=lambda c: order.index(c.variant)))
        if len(ranked) > 1:
            result.append(Group(f"{workload}-{tail}", ranked))
    return tuple(result)


def base_of(cell: Cell) -> Cell:
    """The otherwise equal cell of the base variant."""
    return replace(cell, variant=BASE_VARIANT)


def with_bases(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """The `cells`, each followed by the one that it is compared with; none twice."""
    return tuple(dict.fromkeys(one for cell in cells for one in (cell, base_of(cell))))
