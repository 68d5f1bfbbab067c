"""The whole network: command fetch, waits, DMA and the operations in their order.

Rules beside those of the other modules:

* Commands are fetched in whole bursts, ahead of the one being parsed
  (`Assumptions.commands_ahead`), and parsed a word a cycle.
* One block operation is under way (`Assumptions.under_way`), and beside it one DMA transfer
  (`MaxOutstandingDMAOps` of Vela's `ethos_u55.hpp`): the parser waits at the next.
* What a DMA transfer writes to the SRAM counts towards the cap of that port and takes no place on
  its lane: behind `u55_high_end` it is an eighth of it at most.
* Ports serve in program order. Where a long transfer and a short one really take turns, the short
  one comes out late by what the long one comes out early.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from targets.artefact.stream.operations import BlockOperation, Dma, DmaWait, KernelWait, Operation
from targets.ethos_u55.command_stream import WORD_BYTES
from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.ports import Direction
from targets.simulator.timing.command_fetch import CommandFetch
from targets.simulator.timing.memory import Channel, channels
from targets.simulator.timing.pipeline import BlockPipeline, Ports
from targets.simulator.timing.results import (
    Beats,
    Bound,
    Engine,
    NetworkTiming,
    OperationTiming,
    Span,
    Waits,
)
from targets.simulator.timing.work import BlockWork, Moves, NetworkWork
from targets.simulator.traffic.network import OperationTraffic
from targets.timing_profiles import TimingProfile

__all__ = ["estimate"]

#: Share of the multipliers' time from which the decoder, which they wait for, decides. What is
#: left where it does is the lag of the accumulators.
_DECODER_BINDS = 0.9


def estimate(
    work: NetworkWork,
    mode: MemoryMode,
    profile: TimingProfile,
    weight_shares: Mapping[int, float] = MappingProxyType({}),
) -> NetworkTiming:
    """When each operation of a command stream runs, and what it waits for. Estimated.

    `work` is what `network_work` says of the stream, its transactions counted with the bursts of
    `profile`. `weight_shares` asks what if: the weight
    stream of the operation at an index were encoded in that share of its size.
    """
    return _Npu(work, mode, profile, weight_shares).run()


class _Npu:
    """State of one estimate."""

    def __init__(
        self,
        work: NetworkWork,
        mode: MemoryMode,
        profile: TimingProfile,
        weight_shares: Mapping[int, float],
    ) -> None:
        adapters = (profile.port(0, mode), profile.port(1, mode))
        (read_0, write_0), (read_1, write_1) = map(channels, adapters)
        self._reads, self._writes = (read_0, read_1), (write_0, write_1)
        self._work = work
        self._mode, self._profile = mode, profile
        self._weight_shares = weight_shares
        (commands,) = work.traffic.commands
        self._fetcher = CommandFetch(
            commands.bytes // WORD_BYTES,
            self._reads[commands.port],
            work.assumptions.commands_ahead,
            adapters[commands.port].burst,
        )
        self._command_port = commands.port
        self._pipeline = BlockPipeline(Ports(self._reads, self._writes), work.assumptions.restart)
        #: When the parser has dealt with the last command.
        self._time = 0.0
        #: When everything so far has ended.
        self._end = 0.0
        self._dma_end = 0.0
        self._kernel_ends: list[float] = []

    def run(self) -> NetworkTiming:
        pairs = zip(self._work.traffic.operations, self._work.operations, strict=True)
        rows = tuple(self._operation(i, each, work) for i, (each, work) in enumerate(pairs))
        port = self._command_port
        none, fetched = Beats(), self._fetcher.beats
        return NetworkTiming(
            macs=self._work.macs,
            mode=self._mode,
            profile=self._profile,
            operations=rows,
            commands=tuple(self._fetcher.spans(port)),
            command_beats=(none, fetched) if port else (fetched, none),
            read_stalls=(self._reads[0].stalled, self._reads[1].stalled),
            write_stalls=(self._writes[0].stalled, self._writes[1].stalled),
        )

    def _operation(
        self, index: int, traffic: OperationTraffic, work: BlockWork | None
    ) -> OperationTiming:
        operation = traffic.operation
        before = self._time
        arrived = self._fetcher.arrival(operation.word, before)
        parsed = max(before + operation.issue_words, arrived + 1)
        issue = parsed - before
        self._time = parsed
        if isinstance(operation, BlockOperation) and work is not None:
            return self._block_operation(index, operation, work, issue)
        if isinstance(operation, Dma):
            return self._dma(index, traffic, issue)
        if isinstance(operation, DmaWait):
            self._time = max(parsed, self._dma_end)
        elif isinstance(operation, KernelWait):
            self._time = max(parsed, self._kernel_end(operation.outstanding))
        # A wait only takes time that the operations it waits for have been charged with.
        end = max(parsed, self._end)
        return self._row(index, operation, issue, Bound.ISSUE, parsed, end, compute=(0.0, 0.0, 0.0))

    def _kernel_end(self, outstanding: int) -> float:
        """When at most `outstanding` block operations are under way."""
        ends = self._kernel_ends
        return ends[-1 - outstanding] if len(ends) > outstanding else 0.0

    def _dma(self, index: int, traffic: OperationTraffic, issue: float) -> OperationTiming:
        flows = traffic.flows
        read = flows[0]
        channel = self._reads[read.port]
        to_memory = len(flows) > 1
        acknowledged = 0.0
        if to_memory:
            write = flows[1]
            burst = write.beats / write.bursts if write.bursts else 0.0
            acknowledged = self._writes[write.port].latency + burst
        asked = max(self._time, self._dma_end)
        self._time = asked
        served = channel.serve(asked, read.beats, read.bursts)
        self._dma_end = served.done + acknowledged
        if to_memory:
            self._writes[write.port].charge(served.start, self._dma_end, write.beats)
        busy = channel.sustained(read.beats, read.bursts)
        flash, sram = (busy, 0.0) if self._flash(read.port) else (0.0, busy)
        beats = [Beats(), Beats()]
        for flow in flows:
            writes = flow.stream.direction is Direction.WRITE
            beats[flow.port] += (
                Beats(written=flow.beats, written_bursts=flow.bursts)
                if writes
                else Beats(read=flow.beats, read_bursts=flow.bursts)
            )
        bound = Bound.FLASH if flash else Bound.SRAM
        span = Span(Engine.DMA, read.port, served.start, self._dma_end)
        return self._row(
            index,
            traffic.operation,
            issue,
            bound,
            served.start,
            self._dma_end,
            flash=flash,
            sram=sram,
            spans=(span,),
            beats=(beats[0], beats[1]),
        )

    def _block_operation(
        self, index: int, operation: BlockOperation, work: BlockWork, issue: float
    ) -> OperationTiming:
        under_way = self._work.assumptions.under_way
        self._time = max(self._time, self._kernel_end(under_way - 1))
        if index in self._weight_shares:
            work = work.with_weights(self._weight_shares[index])
        blockdep = operation.block.blockdep if under_way > 1 else 0
        passage = self._pipeline.run(work, issued=self._time, blockdep=blockdep)
        end = passage.done[-1]
        self._kernel_ends.append(end)
        mac, output, decode = sum(work.mac), sum(work.output), sum(work.decode)
        reads = [0.0, 0.0]
        for moves in work.reads:
            reads[moves.port] += _occupied(self._reads[moves.port], moves)
        writes = [0.0, 0.0]
        writes[work.ofm.port] = _occupied(self._writes[work.ofm.port], work.ofm)
        busy = [max(pair) for pair in zip(reads, writes, strict=True)]
        flash = sum(busy[port] for port in (0, 1) if self._flash(port))
        sram = max((busy[port] for port in (0, 1) if not self._flash(port)), default=0.0)
        bound = _bound(
            {
                # Before the multipliers, which then are as busy waiting for it.
                Bound.WEIGHT_DECODE: mac if decode >= _DECODER_BINDS * mac else 0.0,
                Bound.COMPUTE: max(mac, output),
                Bound.FLASH: flash,
                Bound.SRAM: sram,
            },
            end - passage.start,
        )
        return self._row(
            index,
            operation,
            issue,
            bound,
            passage.start,
            end,
            compute=(mac, output, decode),
            flash=flash,
            sram=sram,
            waits=passage.waits,
            spans=passage.spans,
            beats=work.port_beats,
        )

    def _flash(self, port: int) -> bool:
        return port == 1 and self._mode is MemoryMode.SHARED_SRAM

    def _row(
        self,
        index: int,
        operation: Operation,
        issue: float,
        bound: Bound,
        start: float,
        end: float,
        *,
        compute: tuple[float, float, float] = (0.0, 0.0, 0.0),
        flash: float = 0.0,
        sram: float = 0.0,
        waits: Waits | None = None,
        spans: tuple[Span, ...] = (),
        beats: tuple[Beats, Beats] = (Beats(), Beats()),
    ) -> OperationTiming:
        total = max(0.0, end - self._end)
        self._end = max(end, self._end)
        mac, output, decode = compute
        return OperationTiming(
            operation=operation,
            index=index,
            compute=max(mac, output),
            mac=mac,
            output=output,
            weight_decode=decode,
            flash=flash,
            sram=sram,
            issue=issue,
            total=total,
            bound_by=bound if total or mac or output or flash or sram else Bound.NOTHING,
            start=start,
            end=end,
            waits=Waits() if waits is None else waits,
            spans=spans,
            beats=beats,
        )


def _occupied(channel: Channel, moves: Moves) -> float:
    return channel.sustained(moves.total_beats, moves.total_bursts)


def _bound(busy: dict[Bound, float], span: float) -> Bound:
    """The busiest, unless even that one stood still for half the time."""
    bound = max(busy, key=lambda key: busy[key])
    return bound if busy[bound] * 2 >= span else Bound.LATENCY
