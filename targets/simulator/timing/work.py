"""What an operation asks of engines and ports, block by block: the input of the pipeline.

Lists rather than arrays, one entry for each block in the order of execution, because the pipeline
walks them one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from targets.simulator.blocks import (
    BlockGrid,
    block_grid,
    ifm2_reads,
    ifm_reads,
    jobs_per_block,
    ofm_writes,
)
from targets.simulator.operations import BlockOperation, Conv, Depthwise, Elementwise
from targets.simulator.runs import Ints, Transfers, run_cost
from targets.simulator.timing.assumptions import DECIDED, Assumptions
from targets.simulator.timing.engines import engine_cycles
from targets.simulator.traffic import PortMap

__all__ = ["BlockWork", "Moves", "block_work"]


@dataclass(frozen=True)
class Moves:
    """Transfers of one purpose on one port."""

    port: int
    #: Beats and transactions of each block. Fractions where a stream is shared out evenly.
    beats: list[float]
    bursts: list[float]


@dataclass(frozen=True)
class BlockWork:
    """One operation's blocks."""

    #: Cycles of each engine, undisturbed.
    mac: list[float]
    output: list[float]
    decode: list[float]
    ifm: Moves
    #: None where there is no second operand in memory.
    ifm2: Moves | None
    #: Weights and scales; None where there are none.
    weights: Moves | None
    ofm: Moves
    #: IFM blocks an OFM block is computed from.
    jobs: int

    @property
    def count(self) -> int:
        """Number of blocks."""
        return len(self.output)

    @property
    def reads(self) -> tuple[Moves, ...]:
        """Everything that is read."""
        return tuple(m for m in (self.ifm, self.ifm2, self.weights) if m is not None)


def block_work(
    operation: BlockOperation, macs: int, ports: PortMap, assumptions: Assumptions = DECIDED
) -> BlockWork:
    """The work of `operation` on the Ethos-U55 with `macs` MACs."""
    grid = block_grid(operation)
    cycles = engine_cycles(operation, grid, macs, assumptions)
    ifm2 = None
    second = ifm2_reads(operation)
    if second is not None and isinstance(operation, Elementwise) and operation.ifm2 is not None:
        ifm2 = _moves(second, grid, ports.port(operation.ifm2.region))
    return BlockWork(
        mac=_flat(cycles.mac, grid),
        output=_flat(cycles.output, grid),
        decode=_flat(cycles.decode, grid),
        ifm=_moves(ifm_reads(operation), grid, ports.port(operation.ifm.region)),
        ifm2=ifm2,
        weights=_weights(operation, grid, ports),
        ofm=_moves(ofm_writes(operation), grid, ports.port(operation.ofm.region)),
        jobs=jobs_per_block(operation),
    )


def _moves(moved: Transfers, grid: BlockGrid, port: int) -> Moves:
    return Moves(port, _flat(moved.beats, grid), _flat(moved.bursts, grid))


def _weights(operation: BlockOperation, grid: BlockGrid, ports: PortMap) -> Moves | None:
    """Weights and scales, which each plane position streams whole, shared out by channels."""
    if not isinstance(operation, (Conv, Depthwise)):
        return None
    ranges = (operation.weights, operation.scales)
    cost = run_cost(
        np.array([part.address for part in ranges]), np.array([part.length for part in ranges])
    ).sum(axis=1)
    share = grid.depths.sizes / grid.depths.sizes.sum()
    return Moves(
        ports.port(operation.weights.region),
        _flat(cost[1] * share[None, None, :], grid),
        _flat(cost[2] * share[None, None, :], grid),
    )


def _flat(values: npt.NDArray[np.float64] | Ints, grid: BlockGrid) -> list[float]:
    flat: list[float] = np.broadcast_to(values, grid.shape).astype(np.float64).ravel().tolist()
    return flat
