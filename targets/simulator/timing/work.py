"""What an operation asks of engines and ports, block by block: the input of the pipeline.

Lists rather than arrays, one entry for each block in the order of execution, because the pipeline
walks them one by one. What moves was counted by `traffic`; nothing is counted again here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from targets.simulator.blocks import jobs_per_block
from targets.simulator.operations import BlockOperation
from targets.simulator.runs import Ints
from targets.simulator.timing.assumptions import DECIDED, Assumptions
from targets.simulator.timing.engines import Engines
from targets.simulator.traffic import Flow, OperationTraffic, Stream

__all__ = ["BlockWork", "Moves", "block_work"]


@dataclass(frozen=True)
class Moves:
    """Transfers of one purpose on one port."""

    port: int
    #: Beats and transactions of each block. Fractions where a stream is shared out evenly.
    beats: list[float]
    bursts: list[float]
    #: Of all blocks together.
    total_beats: float
    total_bursts: float


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
    traffic: OperationTraffic,
    macs: int,
    assumptions: Assumptions = DECIDED,
    weight_share: float = 1.0,
) -> BlockWork:
    """The work of an operation on the Ethos-U55 with `macs` MACs.

    `weight_share` scales the weight stream (not the scales): what if it were encoded in so much
    of its size? Raises `TypeError` for what is no block operation.
    """
    operation = traffic.operation
    if not isinstance(operation, BlockOperation):
        raise TypeError(f"{type(operation).__name__} has no blocks")
    ofm, block = operation.ofm, operation.block
    rows = _sizes(ofm.height, block.height)
    columns = _sizes(ofm.width, block.width)
    depths = _sizes(ofm.depth, block.depth)
    engine_cycles = Engines(operation, macs, assumptions).block
    cycles = [engine_cycles(y, x, z) for y in rows for x in columns for z in depths]
    flows = {flow.stream: flow for flow in traffic.flows}
    ifm2 = flows.get(Stream.IFM2)
    return BlockWork(
        mac=[block.mac for block in cycles],
        output=[block.output for block in cycles],
        decode=[block.decode for block in cycles],
        ifm=_moves(flows[Stream.IFM]),
        ifm2=None if ifm2 is None else _moves(ifm2),
        weights=_weights(flows, weight_share, depths) if Stream.WEIGHTS in flows else None,
        ofm=_moves(flows[Stream.OFM]),
        jobs=jobs_per_block(operation),
    )


def _sizes(extent: int, step: int) -> list[int]:
    """Pieces of at most `step` elements, the last one perhaps smaller; as `Intervals.cut`."""
    whole, rest = divmod(extent, step)
    return [step] * whole + [rest] * (rest > 0)


def _moves(flow: Flow) -> Moves:
    assert flow.blocks is not None, f"{flow.stream} is counted block by block"
    beats, bursts = flow.blocks.beats, flow.blocks.bursts
    return Moves(flow.port, _flat(beats), _flat(bursts), flow.beats, flow.bursts)


def _weights(flows: Mapping[Stream, Flow], share: float, depths: Sequence[int]) -> Moves:
    """Weights and scales, which each plane position streams whole, shared out by channels."""
    weights, scales = flows[Stream.WEIGHTS], flows[Stream.SCALES]
    blocks = flows[Stream.OFM].blocks
    assert blocks is not None, "feature maps are counted block by block"
    planes = blocks.beats.size // len(depths)
    beats = weights.beats * share + scales.beats
    bursts = weights.bursts * share + scales.bursts
    parts = [depth / (sum(depths) * planes) for depth in depths] * planes
    return Moves(
        weights.port,
        [beats * part for part in parts],
        [bursts * part for part in parts],
        beats,
        bursts,
    )


def _flat(values: Ints) -> list[float]:
    flat: list[float] = values.ravel().astype(np.float64).tolist()
    return flat
