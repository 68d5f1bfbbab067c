"""The whole network: command fetch, waits, DMA and the operations in their order.

Rules in addition to those of the other modules:

* Commands are fetched in whole bursts, ahead of the one being parsed
  (`Assumptions.commands_ahead`), and parsed at one word per cycle.
* One block operation is under way (`Assumptions.under_way`), and one DMA transfer beside it
  (`MaxOutstandingDMAOps` of Vela's `ethos_u55.hpp`): the parser waits at the next.
* A DMA transfer's writes to the SRAM count towards the cap of that port but take no place on its
  lane: behind `u55_high_end` they are at most an eighth of it.
* Ports serve in program order. Where a long and a short transfer really take turns, the model
  finishes the short one late and the long one early by the same number of cycles.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from types import MappingProxyType
from typing import NamedTuple

from targets.artefact.stream.operations import BlockOperation, Dma, DmaWait, KernelWait, Operation
from targets.ethos_u55.command_stream import WORD_BYTES
from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.ports import Direction
from targets.simulator.timing.command_fetch import CommandFetch
from targets.simulator.timing.memory import channels
from targets.simulator.timing.pipeline import BlockPipeline
from targets.simulator.timing.results import (
    Beats,
    Bound,
    Engine,
    NetworkTiming,
    OperationTiming,
    Span,
    Waits,
)
from targets.simulator.timing.stages import Ports
from targets.simulator.timing.work import BlockWork, NetworkWork
from targets.simulator.traffic.network import Flow, OperationTraffic
from targets.timing_profiles import TimingProfile

__all__ = ["estimate"]

#: The decoder decides if it works for at least this share of the multipliers' time, since they
#: wait for it. The rest of their time is then the lag of the accumulators.
_DECODER_BINDS = 0.9
_NO_BEATS = Beats()


def estimate(
    work: NetworkWork,
    mode: MemoryMode,
    profile: TimingProfile,
    weight_shares: Mapping[int, float] = MappingProxyType({}),
    *,
    start: float = 0.0,
) -> NetworkTiming:
    """When each operation of a command stream runs, and what it waits for. Estimated.

    `work` is the result of `network_work` for the stream, with transactions counted for the bursts
    of `profile`. `weight_shares` asks "what if": it maps the index of an operation to the share of
    its size to which its weight stream would be encoded. `start` is the cycle at which the NPU
    starts; the adapters' periods begin at 0 and do not wait for it. All times are counted from 0.
    """
    return _Npu(work, mode, profile, weight_shares, start).run()


class _Busy(NamedTuple):
    """How long an operation keeps each engine and memory busy, undisturbed. Cycles."""

    mac: float = 0.0
    output: float = 0.0
    decode: float = 0.0
    flash: float = 0.0
    sram: float = 0.0


class _Ran(NamedTuple):
    """When an operation ran, and what decided its duration."""

    start: float
    end: float
    bound: Bound
    busy: _Busy = _Busy()
    waits: Waits = Waits()
    spans: tuple[Span, ...] = ()
    beats: tuple[Beats, Beats] = (_NO_BEATS, _NO_BEATS)


class _Npu:
    """State of one estimate."""

    def __init__(
        self,
        work: NetworkWork,
        mode: MemoryMode,
        profile: TimingProfile,
        weight_shares: Mapping[int, float],
        start: float,
    ) -> None:
        adapters = (profile.port(0, mode), profile.port(1, mode))
        (read_0, write_0), (read_1, write_1) = map(channels, adapters)
        self._ports = Ports((read_0, read_1), (write_0, write_1))
        self._work = work
        self._mode, self._profile = mode, profile
        self._weight_shares = weight_shares
        (commands,) = work.traffic.commands
        self._fetcher = CommandFetch(
            commands.bytes // WORD_BYTES,
            self._ports.reads[commands.port],
            work.assumptions.commands_ahead,
            adapters[commands.port].burst,
        )
        self._command_port = commands.port
        self._pipeline = BlockPipeline(self._ports, work.assumptions.restart, start)
        #: When the parser has dealt with the last command.
        self._time = start
        #: When everything so far has ended.
        self._end = start
        self._dma_end = 0.0
        self._kernel_ends: list[float] = []

    def run(self) -> NetworkTiming:
        pairs = zip(self._work.traffic.operations, self._work.operations, strict=True)
        rows = tuple(self._operation(i, each, work) for i, (each, work) in enumerate(pairs))
        port, fetched = self._command_port, self._fetcher.beats
        reads, writes = self._ports.reads, self._ports.writes
        return NetworkTiming(
            macs=self._work.macs,
            mode=self._mode,
            profile=self._profile,
            operations=rows,
            commands=tuple(self._fetcher.spans(port)),
            command_beats=(_NO_BEATS, fetched) if port else (fetched, _NO_BEATS),
            read_stalls=(reads[0].stalled, reads[1].stalled),
            write_stalls=(writes[0].stalled, writes[1].stalled),
        )

    def _operation(
        self, index: int, traffic: OperationTraffic, work: BlockWork | None
    ) -> OperationTiming:
        operation = traffic.operation
        issue = self._parse(operation)
        if isinstance(operation, BlockOperation) and work is not None:
            ran = self._block_operation(index, operation, work)
        elif isinstance(operation, Dma):
            ran = self._dma(traffic.flows)
        else:
            ran = self._wait(operation)
        return self._row(index, operation, issue, ran)

    def _parse(self, operation: Operation) -> float:
        """Fetch and parse the operation's commands; returns the cycles this took."""
        before = self._time
        arrived = self._fetcher.arrival(operation.word, before)
        self._time = max(before + operation.issue_words, arrived + 1)
        return self._time - before

    def _wait(self, operation: Operation) -> _Ran:
        parsed = self._time
        if isinstance(operation, DmaWait):
            self._time = max(parsed, self._dma_end)
        elif isinstance(operation, KernelWait):
            self._time = max(parsed, self._kernel_end(operation.outstanding))
        # The time of a wait is charged to the operations that it waits for.
        return _Ran(parsed, max(parsed, self._end), Bound.ISSUE)

    def _kernel_end(self, outstanding: int) -> float:
        """When at most `outstanding` block operations are under way."""
        ends = self._kernel_ends
        return ends[-1 - outstanding] if len(ends) > outstanding else 0.0

    def _dma(self, flows: tuple[Flow, ...]) -> _Ran:
        """Copy from memory to memory, or to SHRAM; in the latter case `flows` has no write."""
        read, *writes = flows
        channel = self._ports.reads[read.port]
        self._time = max(self._time, self._dma_end)
        served = channel.serve(self._time, read.beats, read.bursts)
        self._dma_end = served.done
        for write in writes:
            burst = write.beats / write.bursts if write.bursts else 0.0
            written = self._ports.writes[write.port]
            self._dma_end = served.done + (written.latency + burst)
            written.charge(served.start, self._dma_end, write.beats)
        busy = [0.0, 0.0]
        busy[read.port] = channel.sustained(read.beats, read.bursts)
        flash, sram = self._memories(busy)
        return _Ran(
            served.start,
            self._dma_end,
            Bound.FLASH if flash else Bound.SRAM,
            _Busy(flash=flash, sram=sram),
            spans=(Span(Engine.DMA, read.port, served.start, self._dma_end),),
            beats=_flow_beats(flows),
        )

    def _block_operation(self, index: int, operation: BlockOperation, work: BlockWork) -> _Ran:
        under_way = self._work.assumptions.under_way
        self._time = max(self._time, self._kernel_end(under_way - 1))
        if index in self._weight_shares:
            work = work.with_weights(self._weight_shares[index])
        blockdep = operation.block.blockdep if under_way > 1 else 0
        passage = self._pipeline.run(work, issued=self._time, blockdep=blockdep)
        end = passage.done[-1]
        self._kernel_ends.append(end)
        busy = self._busy(work)
        return _Ran(
            passage.start,
            end,
            _bound(busy, end - passage.start),
            busy,
            passage.waits,
            passage.spans,
            work.port_beats,
        )

    def _busy(self, work: BlockWork) -> _Busy:
        """Each engine for the sum of its blocks, each memory for all that is moved."""
        reads, writes = [0.0, 0.0], [0.0, 0.0]
        for moves in work.reads:
            channel = self._ports.reads[moves.port]
            reads[moves.port] += channel.sustained(moves.total_beats, moves.total_bursts)
        ofm = work.ofm
        channel = self._ports.writes[ofm.port]
        writes[ofm.port] = channel.sustained(ofm.total_beats, ofm.total_bursts)
        flash, sram = self._memories([max(pair) for pair in zip(reads, writes, strict=True)])
        return _Busy(*work.engines, flash, sram)

    def _memories(self, ports: list[float]) -> tuple[float, float]:
        """How long flash and SRAM are busy if each port is busy for that long."""
        if self._mode is MemoryMode.SHARED_SRAM:
            return ports[1], ports[0]
        return 0.0, max(ports)

    def _row(self, index: int, operation: Operation, issue: float, ran: _Ran) -> OperationTiming:
        total = max(0.0, ran.end - self._end)
        self._end = max(ran.end, self._end)
        busy = ran.busy
        return OperationTiming(
            operation=operation,
            index=index,
            compute=max(busy.mac, busy.output),
            mac=busy.mac,
            output=busy.output,
            weight_decode=busy.decode,
            flash=busy.flash,
            sram=busy.sram,
            issue=issue,
            total=total,
            bound_by=ran.bound if total or any(busy) else Bound.NOTHING,
            start=ran.start,
            end=ran.end,
            waits=ran.waits,
            spans=ran.spans,
            beats=ran.beats,
        )


def _flow_beats(flows: tuple[Flow, ...]) -> tuple[Beats, Beats]:
    """What the flows move on AXI0 and AXI1."""
    beats = [_NO_BEATS, _NO_BEATS]
    for flow in flows:
        writes = flow.stream.direction is Direction.WRITE
        beats[flow.port] += (
            Beats(written=flow.beats, written_bursts=flow.bursts)
            if writes
            else Beats(read=flow.beats, read_bursts=flow.bursts)
        )
    return beats[0], beats[1]


def _bound(busy: _Busy, span: float) -> Bound:
    """The busiest engine or memory, or LATENCY if even that one is idle for half the time."""
    # Ahead of the multipliers, which are then equally busy, waiting for it.
    decoding = busy.mac if busy.decode >= _DECODER_BINDS * busy.mac else 0.0
    bound, longest = max(
        (
            (Bound.WEIGHT_DECODE, decoding),
            (Bound.COMPUTE, max(busy.mac, busy.output)),
            (Bound.FLASH, busy.flash),
            (Bound.SRAM, busy.sram),
        ),
        key=itemgetter(1),
    )
    return bound if longest * 2 >= span else Bound.LATENCY
