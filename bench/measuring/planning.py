"""What is to be done for each cell, completely, before anything is done. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.compiler import VelaOptions
from bench.plan.cell import Cell
from bench.plan.config import BenchConfig, Workload, timing_of
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.protocol import Capabilities
from targets.timing_profiles import TimingProfile

__all__ = ["CellPlan", "Lack", "plan_cells", "vela_options"]


@dataclass(frozen=True)
class Lack:
    """Why a target is not available, or cannot measure a cell, and what to do about it."""

    what: str
    cure: str


@dataclass(frozen=True)
class CellPlan:
    """Everything that decides what is done for one cell."""

    cell: Cell
    #: Where its model and its data come from.
    workload: Workload
    #: How its model is compiled.
    options: VelaOptions
    #: The memories it is measured with.
    timing_name: str
    timing: TimingProfile
    #: What its target can do, or why it does nothing for this cell.
    target: Capabilities | Lack
    #: Which measurement of the same job it is: a target that does not repeat its counts is asked
    #: several times. Each is kept under its number, 0 the one that is judged.
    repetition: int = 0


def plan_cells(
    config: BenchConfig,
    cells: Iterable[Cell],
    targets: Mapping[str, Capabilities | Lack],
    repetition: int = 0,
) -> dict[Cell, CellPlan]:
    """The plan of each of `cells`. `targets` has what each can do, or why it is not available."""
    return {cell: _plan(config, cell, targets[cell.target], repetition) for cell in cells}


def vela_options(
    config: BenchConfig, accelerator: Accelerator, memory_mode: MemoryMode, system_config: str
) -> VelaOptions:
    """How a model is compiled for these coordinates of the grid."""
    vela = config.vela
    return VelaOptions(
        accelerator=accelerator,
        memory_mode=memory_mode,
        system_config=system_config,
        config_file=vela.config_file,
        optimise=vela.optimise,
        arena_cache_kib=vela.arena_cache_kib,
        cpu_tensor_alignment=vela.cpu_tensor_alignment,
        extra=vela.extra,
    )


def _plan(
    config: BenchConfig, cell: Cell, target: Capabilities | Lack, repetition: int
) -> CellPlan:
    timing_name, timing = timing_of(config, cell)
    return CellPlan(
        cell=cell,
        workload=config.workloads[cell.workload],
        options=vela_options(config, cell.accelerator, cell.memory_mode, cell.system_config),
        timing_name=timing_name,
        timing=timing,
        target=target if isinstance(target, Lack) else _able(target, cell),
        repetition=repetition,
    )


def _able(target: Capabilities, cell: Cell) -> Capabilities | Lack:
    if cell.accelerator not in target.accelerators:
        return Lack(
            f"{cell.id}: target {cell.target!r} has no {cell.accelerator.vela_name}; it has "
            f"{', '.join(map(str, sorted(target.accelerators)))} MACs/cc",
            cure="leave this accelerator out of grid.macs",
        )
    if cell.memory_mode not in target.memory_modes:
        return Lack(
            f"{cell.id}: target {cell.target!r} has no {cell.memory_mode.value}",
            cure="leave this mode out of grid.memory_modes",
        )
    return target
