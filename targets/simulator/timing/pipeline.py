"""How the blocks of one operation pass through the NPU: a max-plus recurrence, block by block.

For block j, with every stage waiting for the latest of what it needs:

* the IFM is asked for when a buffer is free (two IFM blocks fit: `IFM_BUFFERS`) and the operation
  before allows; the first IFM block must be there before the multipliers start, the others arrive
  while they work;
* weights are streamed from when the block before last has been multiplied, and the last of them
  must have arrived before the block can be complete;
* the multipliers take the block after the last one, when an accumulator is free: accumulators are
  double buffered, so block j - 2 must have left the output stage;
* the output stage takes what the multipliers have finished, and puts it into a buffer that is
  written at the pace of the port; a block is done when its write has been acknowledged.

Elementwise operations have no multiplication: both operands go to the output stage.

An operation starts when the one before has ended and the engines have filled again
(`Assumptions.restart`). Where two may be under way (`Assumptions.under_way`), BLOCKDEP decides
(Vela: `CalcBlockDep`): block j may start while at most BLOCKDEP - j blocks of the previous
operation are unfinished.

There is no cycle-by-cycle simulation, and no other constant: times come from `engines` and
`memory`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from targets.simulator.timing.memory import Channel
from targets.simulator.timing.results import Engine, Span, Waits
from targets.simulator.timing.work import BlockWork

__all__ = ["BlockPipeline", "Passage", "Ports"]


@dataclass(frozen=True)
class Ports:
    """The channels of both AXI ports."""

    reads: tuple[Channel, Channel]
    writes: tuple[Channel, Channel]


@dataclass(frozen=True)
class Passage:
    """How an operation passed."""

    #: When each block's write was acknowledged.
    done: list[float]
    #: First stage of the first block.
    start: float
    waits: Waits
    spans: tuple[Span, ...]


class BlockPipeline:
    """The engines during one estimate: it remembers when each of them is free."""

    def __init__(self, ports: Ports, restart: float) -> None:
        self._ports = ports
        self._restart = restart
        # Ends of the last two blocks in the multipliers and the output stage.
        self._mac = (0.0, 0.0)
        self._out = (0.0, 0.0)
        self._previous: Sequence[float] = ()

    def run(self, work: BlockWork, *, issued: float, blockdep: int) -> Passage:
        """Pass the blocks of an operation that was issued at `issued` through the pipeline.

        `blockdep` is how many blocks of the operation before may be unfinished; 0: none.
        """
        reads, writes = self._ports.reads, self._ports.writes
        ifm, ifm2, weights, ofm = work.ifm, work.ifm2, work.weights, work.ofm
        read_ifm = reads[ifm.port].serve
        read_ifm2 = reads[ifm2.port].serve if ifm2 else None
        read_weights = reads[weights.port].serve if weights else None
        write_ofm = writes[ofm.port].serve
        jobs = work.jobs
        first_part, rest_part = 1 / jobs, (jobs - 1) / jobs
        elementwise = not any(work.mac)
        acknowledge = writes[ofm.port].latency
        restart = self._restart

        mac_before, mac_last = self._mac
        out_before, out_last = self._out
        previous, unfinished = self._previous, len(self._previous) - blockdep
        done: list[float] = []
        streamed = issued
        wait_issue = wait_dependency = wait_ifm = wait_weights = wait_accumulators = 0.0
        wait_input = wait_write = 0.0
        first_ifm = first_weights = first_mac = first_out = first_write = start = 0.0
        last_ifm = 0.0
        for j, (mac, output) in enumerate(zip(work.mac, work.output, strict=True)):
            # Comparisons instead of max(): this loop is what an estimate's time is spent in.
            must = unfinished + j
            if must > len(previous):
                must = len(previous)
            dependency = previous[must - 1] + restart if must > 0 else 0.0
            gate = out_before if elementwise else mac_before
            if dependency > gate:
                gate = dependency
            if issued > gate:
                gate = issued
            fetched = read_ifm(gate, ifm.beats[j] * first_part, ifm.bursts[j] * first_part)
            ready = fetched.done
            if ifm2 is not None and read_ifm2 is not None:
                second = read_ifm2(gate, ifm2.beats[j], ifm2.bursts[j]).done
                if second > ready:
                    ready = second
            begin = mac_last if mac_last > ready else ready
            if out_before > begin:
                begin = out_before
            end = begin + mac
            if ready > last_ifm:
                last_ifm = ready
            if jobs > 1:
                rest = read_ifm(gate, ifm.beats[j] * rest_part, ifm.bursts[j] * rest_part).done
                late = rest + mac * first_part
                if late > end:
                    wait_ifm += late - end
                    end = late
                if rest > last_ifm:
                    last_ifm = rest
            if weights is not None and read_weights is not None:
                asked = streamed if streamed > mac_before else mac_before
                served = read_weights(asked, weights.beats[j], weights.bursts[j])
                streamed = served.done
                if not j:
                    first_weights = served.start
                if streamed > end:
                    wait_weights += streamed - end
                    end = streamed
            out_begin = end if end > out_last else out_last
            out_end = out_begin + output
            beats = ofm.beats[j]
            written = write_ofm(out_begin + output / (beats or 1.0), beats, ofm.bursts[j])
            # Where the engine that computes stood still, from its last block to this one.
            idle = out_last if elementwise else mac_last
            if begin > idle:
                if dependency > idle:
                    wait_dependency += dependency - idle
                    idle = dependency
                if issued > idle:
                    wait_issue += issued - idle
                    idle = issued
                if ready > idle:
                    wait_ifm += ready - idle
                    idle = ready
                if begin > idle:
                    wait_accumulators += begin - idle
            wait_input += out_begin - out_last
            if written.start > out_end:
                wait_write += written.start - out_end
                out_end = written.start
            if not j:
                start, first_ifm, first_mac = gate, fetched.start, begin
                first_out, first_write = out_begin, written.start
            drained = out_end + acknowledge
            done.append(drained if drained > written.done else written.done)
            mac_before, mac_last = mac_last, end
            out_before, out_last = out_last, out_end
        self._mac, self._out, self._previous = (mac_before, mac_last), (out_before, out_last), done
        spans = [
            Span(Engine.IFM, ifm.port, first_ifm, last_ifm),
            Span(Engine.OUTPUT, None, first_out, out_last),
            Span(Engine.OFM, ofm.port, first_write, done[-1]),
        ]
        if not elementwise:
            spans.append(Span(Engine.MAC, None, first_mac, mac_last))
        if weights is not None:
            spans.append(Span(Engine.WEIGHTS, weights.port, first_weights, streamed))
        waits = Waits(
            wait_issue,
            wait_dependency,
            wait_ifm,
            wait_weights,
            wait_accumulators,
            wait_input,
            wait_write,
        )
        return Passage(done, start, waits, tuple(spans))
