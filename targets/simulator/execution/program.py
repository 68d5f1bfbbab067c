"""The NPU: prepares a list of operations once, and executes it over any memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from targets.artefact.stream.operations import (
    BlockOperation,
    Conv,
    Depthwise,
    Dma,
    Elementwise,
    Operation,
    Pool,
)
from targets.simulator.execution.budget import Budget
from targets.simulator.execution.convolution import Convolution, DepthwiseConvolution
from targets.simulator.execution.dma import DmaTransfer, load_tables
from targets.simulator.execution.elementwise import ElementwiseOperation
from targets.simulator.execution.feature_maps import FeatureMapPort
from targets.simulator.execution.known_bytes import Constants
from targets.simulator.execution.memory import Memory, MemoryMap, Site
from targets.simulator.execution.pooling import Pooling
from targets.simulator.execution.preparation import Preparation

__all__ = ["Program"]


class _Step(Protocol):
    """A prepared operation."""

    #: Bytes a row of the batch needs while the operation runs.
    workspace: int

    def run(self, memory: Memory) -> None: ...


class Program:
    """A command stream, checked and decoded against its memory, so nothing can go wrong later.

    All addresses have been compared with the regions, all weights and scales decoded, all look-up
    tables assigned. Waits, interrupts and PMU commands do nothing here: operations run one after
    another, in the stream's order.

    Raises `StreamError`, which names word and operation, for what the NPU could not do, and for
    what is too large; `max_size` multiplies what is not (see `Budget`).
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        layout: MemoryMap,
        macs: int,
        max_size: float = 1.0,
    ) -> None:
        budget = Budget(macs, max_size)
        for operation in operations:
            budget.spend(operation, _site(operation))
        preparation = Preparation(layout, macs, Constants(layout))
        self._steps: list[_Step] = []
        for operation in operations:
            step = _prepare(operation, preparation)
            if step is not None:
                self._steps.append(step)
        #: Bytes that one row of a batch needs in addition to its memory.
        self.workspace = max((step.workspace for step in self._steps), default=0)

    def run(self, memory: Memory) -> None:
        """Execute the stream on `memory`, all rows of it."""
        for step in self._steps:
            step.run(memory)


def _prepare(operation: Operation, preparation: Preparation) -> _Step | None:
    site = _site(operation)
    if isinstance(operation, Dma):
        if operation.destination_region is not None:
            return DmaTransfer(operation, preparation, site)
        load_tables(operation, preparation, site)
        return None
    if not isinstance(operation, BlockOperation):
        return None
    step = _prepare_block(operation, preparation, site)
    # From here on, what this operation writes is no longer known.
    region, extents = _output(operation, preparation.layout, site)
    for first, end in extents:
        preparation.constants.forget(region, first, end, site)
    return step


def _prepare_block(operation: BlockOperation, preparation: Preparation, site: Site) -> _Step:
    if isinstance(operation, Conv):
        return Convolution(operation, preparation, site)
    if isinstance(operation, Depthwise):
        return DepthwiseConvolution(operation, preparation, site)
    if isinstance(operation, Pool):
        return Pooling(operation, preparation, site)
    assert isinstance(operation, Elementwise)
    return ElementwiseOperation(operation, preparation, site)


def _output(
    operation: BlockOperation, layout: MemoryMap, site: Site
) -> tuple[int, tuple[tuple[int, int], ...]]:
    return FeatureMapPort(operation.ofm, layout, site, writing=True).extents


def _site(operation: Operation) -> Site:
    return Site(operation.word, _name(operation))


def _name(operation: Operation) -> str:
    """Arm's name of the command."""
    if isinstance(operation, Dma):
        return "NPU_OP_DMA_START"
    if isinstance(operation, Pool | Elementwise):
        kind = "POOL" if isinstance(operation, Pool) else "ELEMENTWISE"
        return f"NPU_OP_{kind} {operation.mode.name}"
    return f"NPU_OP_{type(operation).__name__.upper()}"
