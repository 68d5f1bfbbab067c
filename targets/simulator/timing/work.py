"""What an operation demands of engines and ports, block by block: the input of the pipeline.

Lists, not arrays, with one entry for each block in the order of execution, because the pipeline
visits them one by one. `traffic` has counted what moves; nothing is counted again here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bench.core.errors import ConfigError
from targets.artefact.stream.operations import BlockOperation, Pool
from targets.ethos_u55.accelerators import MAC_COUNTS
from targets.simulator.timing.assumptions import DECIDED, Assumptions
from targets.simulator.timing.engines import Engines
from targets.simulator.timing.results import Beats
from targets.simulator.traffic.axi_runs import Ints
from targets.simulator.traffic.blocks import jobs_per_block
from targets.simulator.traffic.network import Flow, NetworkTraffic, OperationTraffic, Stream

__all__ = ["BlockWork", "Moves", "NetworkWork", "block_work", "network_work"]


@dataclass(frozen=True)
class Moves:
    """Transfers of one purpose on one port."""

    port: int
    #: Beats and transactions of each block. Fractions if a stream is divided evenly.
    beats: list[float]
    bursts: list[float]
    #: Of all blocks together.
    total_beats: float
    total_bursts: float

    def share(self, part: float) -> Moves:
        """An even share of each block's transfer, 0..1."""
        return Moves(
            self.port,
            [beats * part for beats in self.beats],
            [bursts * part for bursts in self.bursts],
            self.total_beats * part,
            self.total_bursts * part,
        )


@dataclass(frozen=True)
class BlockWork:
    """One operation's blocks."""

    #: Cycles of each engine, undisturbed.
    mac: list[float]
    output: list[float]
    decode: list[float]
    ifm: Moves
    #: None if there is no second operand in memory.
    ifm2: Moves | None
    #: Weights and scales; None if there are none.
    weights: Moves | None
    #: How many of the `weights` beats and transactions are scales and biases.
    scales: tuple[float, float]
    ofm: Moves
    #: IFM blocks from which an OFM block is computed.
    jobs: int

    @property
    def count(self) -> int:
        """Number of blocks."""
        return len(self.output)

    @property
    def ifm_share(self) -> float:
        """The share of an OFM block's multiplications that belongs to one IFM block."""
        return 1 / self.jobs

    @cached_property
    def ifm_parts(self) -> tuple[Moves, Moves | None]:
        """The first IFM block of each OFM block, and all others together (None: no others)."""
        if self.jobs == 1:
            return self.ifm, None
        return self.ifm.share(1 / self.jobs), self.ifm.share((self.jobs - 1) / self.jobs)

    def with_weights(self, share: float) -> BlockWork:
        """The same with a weight stream of `share` of its size; scales and biases stay.

        This is as if it were encoded better: the work of decoder and multipliers is unchanged,
        because it depends on the number of weights alone.
        """
        weights = self.weights
        if weights is None:
            return self
        beats, bursts = self.scales
        scaled = (
            _share(weights.total_beats, beats, share),
            _share(weights.total_bursts, bursts, share),
        )
        return replace(
            self,
            weights=Moves(
                weights.port,
                [beat * scaled[0] for beat in weights.beats],
                [burst * scaled[1] for burst in weights.bursts],
                weights.total_beats * scaled[0],
                weights.total_bursts * scaled[1],
            ),
        )

    @cached_property
    def engines(self) -> tuple[float, float, float]:
        """Cycles of all blocks together: multipliers, output stage and weight decoder."""
        return sum(self.mac), sum(self.output), sum(self.decode)

    @cached_property
    def reads(self) -> tuple[Moves, ...]:
        """Everything that is read."""
        return tuple(m for m in (self.ifm, self.ifm2, self.weights) if m is not None)

    @cached_property
    def port_beats(self) -> tuple[Beats, Beats]:
        """What passes through AXI0 and AXI1."""
        ports = [Beats(), Beats()]
        for moves in self.reads:
            ports[moves.port] += Beats(
                read=round(moves.total_beats), read_bursts=round(moves.total_bursts)
            )
        ports[self.ofm.port] += Beats(
            written=round(self.ofm.total_beats), written_bursts=round(self.ofm.total_bursts)
        )
        return ports[0], ports[1]


@dataclass(frozen=True)
class NetworkWork:
    """The work of one command stream. It does not depend on the timing of the memories."""

    traffic: NetworkTraffic
    macs: int
    assumptions: Assumptions
    #: One for each operation; None for those that have no blocks.
    operations: tuple[BlockWork | None, ...]

    def under(self, assumptions: Assumptions) -> NetworkWork:
        """The same work under other assumptions. Only that of pools can differ."""
        operations = self.operations
        if assumptions.pooling_bits != self.assumptions.pooling_bits:
            operations = tuple(
                block_work(each, self.macs, assumptions)
                if isinstance(each.operation, Pool)
                else work
                for each, work in zip(self.traffic.operations, operations, strict=True)
            )
        return replace(self, assumptions=assumptions, operations=operations)


def network_work(
    traffic: NetworkTraffic, macs: int, assumptions: Assumptions = DECIDED
) -> NetworkWork:
    """The work of the command stream that moves `traffic`.

    `macs` is one of `MAC_COUNTS`. Raises `ConfigError` for others.
    """
    if macs not in MAC_COUNTS:
        raise ConfigError(
            f"there is no Ethos-U55 of {macs} MACs",
            cure=f"give one of {', '.join(map(str, MAC_COUNTS))}",
        )
    operations = tuple(
        block_work(each, macs, assumptions) if isinstance(each.operation, BlockOperation) else None
        for each in traffic.operations
    )
    return NetworkWork(traffic, macs, assumptions, operations)


def block_work(
    traffic: OperationTraffic, macs: int, assumptions: Assumptions = DECIDED
) -> BlockWork:
    """The work of a block operation on the Ethos-U55 with `macs` MACs.

    Raises `TypeError` for any other operation.
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
    ifm2, scales = flows.get(Stream.IFM2), flows.get(Stream.SCALES)
    planes = len(rows) * len(columns)
    return BlockWork(
        mac=[block.mac for block in cycles],
        output=[block.output for block in cycles],
        decode=[block.decode for block in cycles],
        ifm=_moves(flows[Stream.IFM]),
        ifm2=None if ifm2 is None else _moves(ifm2),
        weights=_weights(flows, depths, planes) if scales else None,
        scales=(scales.beats, scales.bursts) if scales else (0, 0),
        ofm=_moves(flows[Stream.OFM]),
        jobs=jobs_per_block(operation),
    )


def _sizes(extent: int, step: int) -> list[int]:
    """Pieces of at most `step` elements, the last one perhaps smaller, like `Intervals.cut`."""
    whole, rest = divmod(extent, step)
    return [step] * whole + [rest] * (rest > 0)


def _share(total: float, fixed: float, share: float) -> float:
    """What share of `total` is left if all except `fixed` shrinks to `share`."""
    return (fixed + (total - fixed) * share) / total


def _moves(flow: Flow) -> Moves:
    assert flow.blocks is not None, f"{flow.stream} is counted block by block"
    beats, bursts = flow.blocks.beats, flow.blocks.bursts
    return Moves(flow.port, _flat(beats), _flat(bursts), flow.beats, flow.bursts)


def _weights(flows: Mapping[Stream, Flow], depths: Sequence[int], planes: int) -> Moves:
    """Weights and scales, divided by channels; every plane position streams all of them."""
    weights, scales = flows[Stream.WEIGHTS], flows[Stream.SCALES]
    beats, bursts = weights.beats + scales.beats, weights.bursts + scales.bursts
    channels = sum(depths) * planes
    return Moves(
        weights.port,
        [beats * depth / channels for depth in depths] * planes,
        [bursts * depth / channels for depth in depths] * planes,
        beats,
        bursts,
    )


def _flat(values: Ints) -> list[float]:
    flat: list[float] = values.ravel().astype(np.float64).tolist()
    return flat
