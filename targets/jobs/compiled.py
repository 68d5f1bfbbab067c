"""From a compiled model to a job: where everything is, and which port reaches it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.core.arrays import Array
from bench.core.rows import misfit, row_shape
from targets.artefact import ArenaRegion, Artefact, FlashRegion, NpuOperator, Region
from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.ports import REGIONS, PortMap
from targets.jobs.device_job import DeviceJob, Input, Output, RegionBase, Space, TimingAdapter
from targets.jobs.errors import JobError, UnsupportedGraphError
from targets.jobs.memory import NPU_MEMORIES, MemoryBank

__all__ = ["inputs_for", "job_for", "state_at_start"]


_ARENA_ALIGNMENT = 64
_BANKS = {bank.name: bank for bank in NPU_MEMORIES}


def job_for(
    artefact: Artefact,
    inputs: Sequence[Array],
    *,
    name: str,
    memory_mode: MemoryMode,
    events: Sequence[int],
    timing: tuple[TimingAdapter | None, TimingAdapter | None] = (None, None),
    repetitions: int = 1,
) -> DeviceJob:
    """A job that runs one inference of `artefact` on `inputs`.

    `inputs` has one array for each model input, in the model's shape and dtype, without the batch
    dimension or with one of 1. The job's outputs are the model's, in their order. The arena goes
    to the ISRAM, or to the DDR if it is too large; in Sram_Only the constants also go to SRAM. The
    arena is cleared before every pass, so all passes start from the same state.

    Raises `JobError` for a model with CPU operators or several `ethos-u` operators, or one that
    does not fit.
    """
    operator = _only_operator(artefact)
    arena_bytes = _aligned(artefact.arena_bytes)
    arena = _BANKS["ISRAM"] if arena_bytes <= _BANKS["ISRAM"].size else _BANKS["DDR1"]
    flash = next(
        (r.data.tobytes() for r in operator.regions.values() if isinstance(r, FlashRegion)), b""
    )
    flash += bytes(-len(flash) % 4)
    ports = PortMap.for_memory_mode(memory_mode)
    return DeviceJob(
        name=name,
        macs=operator.payload.macs,
        commands=operator.payload.commands.astype("<u4").tobytes(),
        flash=flash,
        arena_address=arena.address,
        arena_bytes=arena_bytes,
        regions=tuple(_base(artefact, operator.regions.get(i)) for i in range(REGIONS)),
        inputs=(*state_at_start(artefact), *inputs_for(artefact, inputs)),
        outputs=tuple(
            Output(_offset(artefact, index), artefact.tensors[index].size)
            for index in artefact.outputs
        ),
        events=tuple(events),
        flash_address=(
            _in_sram(artefact, len(flash), arena, arena_bytes)
            if memory_mode is MemoryMode.SRAM_ONLY and flash
            else None
        ),
        clear_arena=True,
        repetitions=repetitions,
        qconfig=ports.qconfig,
        regioncfg=ports.regioncfg_word,
        timing=timing,
    )


def state_at_start(artefact: Artefact) -> tuple[Input, ...]:
    """What goes into the arena before the first inference: the model's state, at real 0."""
    return tuple(
        Input(tensor.offset, np.full(tensor.shape, tensor.start_value, tensor.dtype).tobytes())
        for tensor in artefact.tensors
        if tensor.is_variable and tensor.constant is None and tensor.offset is not None
    )


def inputs_for(artefact: Artefact, inputs: Sequence[Array]) -> tuple[Input, ...]:
    """What goes into the arena before every inference.

    `inputs` are as for `job_for`. Raises `JobError` when they do not fit the model.
    """
    return tuple(_inputs(artefact, inputs))


def _only_operator(artefact: Artefact) -> NpuOperator:
    if len(artefact.operators) == 1 and isinstance(artefact.operators[0], NpuOperator):
        return artefact.operators[0]
    on_cpu = sum(not isinstance(operator, NpuOperator) for operator in artefact.operators)
    raise UnsupportedGraphError(
        f"{artefact.name} has {len(artefact.operators)} operators after compilation, {on_cpu} of "
        "them for the CPU; the firmware runs exactly one command stream",
        cure="use a runner with an interpreter for this model, or the simulator",
    )


def _base(artefact: Artefact, region: Region | None) -> RegionBase | None:
    if region is None:
        return None
    if isinstance(region, FlashRegion):
        return RegionBase(Space.FLASH)
    if isinstance(region, ArenaRegion):
        return RegionBase(Space.ARENA, region.offset) if region.length else None
    raise JobError(
        f"{artefact.name} has its inputs and outputs in separate regions",
        cure="compile it without --separate-io-regions",
    )


def _inputs(artefact: Artefact, inputs: Sequence[Array]) -> list[Input]:
    tensors = [artefact.tensors[index] for index in artefact.inputs]
    rows = list(inputs)
    for number, tensor in enumerate(tensors[: len(rows)]):
        if rows[number].shape == tensor.shape:
            # With its batch dimension of 1.
            rows[number] = rows[number].reshape(row_shape(tensor))
    problem = misfit(tensors, rows, leading=())
    if problem:
        raise JobError(f"{artefact.name}: {problem}")
    return [
        Input(_offset(artefact, index), np.ascontiguousarray(array).tobytes())
        for index, array in zip(artefact.inputs, inputs, strict=True)
    ]


def _offset(artefact: Artefact, index: int) -> int:
    tensor = artefact.tensors[index]
    if tensor.offset is None:
        raise JobError(f"{artefact.name}: tensor {index} {tensor.name!r} is not in the arena")
    return tensor.offset


def _in_sram(artefact: Artefact, size: int, arena: MemoryBank, arena_bytes: int) -> int:
    """An address in SRAM for the constants: after the arena, or in another bank."""
    for bank in (_BANKS["ISRAM"], _BANKS["BRAM"]):
        start = bank.address + (arena_bytes if bank is arena else 0)
        if bank.holds(start, size):
            return start
    raise JobError(
        f"{artefact.name}: {size} bytes of constants and an arena of {arena_bytes} bytes do not "
        "fit the device's SRAM",
        cure="compile it for Shared_Sram",
    )


def _aligned(size: int) -> int:
    return max(_ARENA_ALIGNMENT, -(-size // _ARENA_ALIGNMENT) * _ARENA_ALIGNMENT)
