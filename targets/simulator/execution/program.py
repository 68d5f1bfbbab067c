"""The NPU: prepares a list of operations once, and executes it over any memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

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
from targets.simulator.execution.convolution import convolution, depthwise_convolution
from targets.simulator.execution.dma import DmaTransfer, load_tables
from targets.simulator.execution.elementwise import elementwise
from targets.simulator.execution.feature_maps import FeatureMapPort
from targets.simulator.execution.known_bytes import Constants
from targets.simulator.execution.memory import Memory, MemoryMap, Site
from targets.simulator.execution.pooling import pooling
from targets.simulator.execution.preparation import Preparation
from targets.simulator.native.kernels import Kernels
from targets.simulator.observation import StreamObserver

__all__ = ["Program"]


class _Step(Protocol):
    """A prepared operation."""

    #: Bytes a row of the batch needs while the operation runs.
    workspace: int

    def run(self, memory: Memory) -> None: ...


@dataclass(frozen=True)
class _Placed:
    """A step, its operation's index in the stream, and the OFM it writes; None for a copy."""

    step: _Step
    index: int
    ofm: FeatureMapPort | None


class Program:
    """A command stream, checked and decoded against its memory, so nothing can go wrong later.

    All addresses have been compared with the regions, all weights and scales decoded, all look-up
    tables assigned. Waits, interrupts and PMU commands do nothing here: operations run one after
    another, in the stream's order.

    Raises `StreamError`, which names word and operation, for what the NPU could not do, and for
    what is too large; `max_size` multiplies what is not (see `Budget`). `kernels` makes machine
    code of inner loops; without it, NumPy runs them.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        layout: MemoryMap,
        macs: int,
        max_size: float = 1.0,
        kernels: Kernels | None = None,
    ) -> None:
        budget = Budget(macs, max_size)
        for operation in operations:
            budget.spend(operation, _site(operation))
        preparation = Preparation(layout, macs, Constants(layout), kernels)
        self._steps: list[_Placed] = []
        for index, operation in enumerate(operations):
            placed = _prepare(operation, index, preparation)
            if placed is not None:
                self._steps.append(placed)
        #: Bytes that one row of a batch needs in addition to its memory.
        self.workspace = max((each.step.workspace for each in self._steps), default=0)

    def run(self, memory: Memory, observer: StreamObserver | None = None) -> None:
        """Execute the stream on `memory`, all rows of it; `observer` gets each OFM."""
        for placed in self._steps:
            placed.step.run(memory)
            if observer is not None and placed.ofm is not None:
                observer(placed.index, np.array(placed.ofm.read(memory)))


def _prepare(operation: Operation, index: int, preparation: Preparation) -> _Placed | None:
    site = _site(operation)
    if isinstance(operation, Dma):
        if operation.destination_region is not None:
            return _Placed(DmaTransfer(operation, preparation, site), index, None)
        load_tables(operation, preparation, site)
        return None
    if not isinstance(operation, BlockOperation):
        return None
    step = _prepare_block(operation, preparation, site)
    # From here on, what this operation writes is no longer known.
    ofm = FeatureMapPort(operation.ofm, preparation.layout, site, writing=True)
    region, extents = ofm.extents
    for first, end in extents:
        preparation.constants.forget(region, first, end, site)
    return _Placed(step, index, ofm)


def _prepare_block(operation: BlockOperation, preparation: Preparation, site: Site) -> _Step:
    if isinstance(operation, Conv):
        return convolution(operation, preparation, site)
    if isinstance(operation, Depthwise):
        return depthwise_convolution(operation, preparation, site)
    if isinstance(operation, Pool):
        return pooling(operation, preparation, site)
    assert isinstance(operation, Elementwise)
    return elementwise(operation, preparation, site)


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
