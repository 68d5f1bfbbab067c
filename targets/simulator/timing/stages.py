"""How the blocks of one operation pass through the NPU: a max-plus recurrence, block by block.

Four blocks in time, each named by its number. The IFM is double buffered, and so are the
accumulators: a block holds one from the start of its multiplication to the end of its output.

    cycle           0         10        20        30        40        50        60
    IFM buffer A    0=============      2=============
    IFM buffer B    1=====================        3=============
    weight stream   0=========1=============2=============3=============
    multipliers               0=========1=========2=========3===========
    output stage                        0=====    1=====    2===============3=====
    OFM write                            0========~1========~ 2=============~3=======~
                                        a                               b   c

Every stage waits for the latest of what it needs:

* The IFM is requested when a buffer is free, that is, when the block before last has been
  multiplied (a), and when the previous operation allows it. The first IFM block must have arrived
  before the multipliers start; the others arrive while they work.
* Weights stream in as soon as the block before last has been multiplied. The last of them must
  have arrived before the block can be complete (b).
* The multipliers take the next block when they have finished the last one and an accumulator is
  free: the block before last must have left the output stage.
* The output stage takes what the multipliers have finished, block after block (c), and puts it into
  a buffer that is written at the pace of the port. A block is done when its write has been
  acknowledged.

Elementwise operations have nothing to multiply: both operands go to the output stage, whose buffers
follow the rules above for those of the multipliers.

There is no cycle-by-cycle simulation and no further constant: times come from `engines` and
`memory`.
"""

from __future__ import annotations

from dataclasses import dataclass

from targets.simulator.timing.memory import Channel
from targets.simulator.timing.results import Engine, Span, Waits
from targets.simulator.timing.work import BlockWork, Moves

__all__ = ["DoubleBuffered", "Ports", "Stages"]


@dataclass(frozen=True)
class Ports:
    """The channels of both AXI ports."""

    reads: tuple[Channel, Channel]
    writes: tuple[Channel, Channel]


@dataclass(slots=True)
class DoubleBuffered:
    """An engine with two buffers: a block takes the one that the block before last has left."""

    #: When the block before last left, and when the last one did. Cycles.
    before_last: float = 0.0
    last: float = 0.0


@dataclass(slots=True)
class _Starts:
    """When each engine began with the operation's first block."""

    ifm: float = 0.0
    weights: float = 0.0
    mac: float = 0.0
    output: float = 0.0
    ofm: float = 0.0


@dataclass(slots=True)
class _Waited:
    """`Waits` while they are added up."""

    issue: float = 0.0
    dependency: float = 0.0
    ifm: float = 0.0
    weights: float = 0.0
    accumulators: float = 0.0
    output_input: float = 0.0
    output_write: float = 0.0


class Stages:
    """The stages for the blocks of one operation: one method each, in their order.

    Comparisons replace max() throughout, because an estimate spends its time here and in `memory`.
    """

    __slots__ = (
        "_arrived",
        "_computing",
        "_ifm",
        "_ifm2",
        "_issued",
        "_mac",
        "_ofm",
        "_other_ifm",
        "_output",
        "_ports",
        "_starts",
        "_streamed",
        "_waited",
        "_weights",
        "_work",
        "start",
    )

    def __init__(
        self,
        work: BlockWork,
        ports: Ports,
        mac: DoubleBuffered,
        output: DoubleBuffered,
        issued: float,
    ) -> None:
        """`mac` and `output` are as the previous operation left them; this one changes them."""
        self._work, self._ports, self._issued = work, ports, issued
        self._mac, self._output = mac, output
        self._computing = mac if any(work.mac) else output
        self._ifm, self._other_ifm = work.ifm_parts
        self._ifm2, self._weights, self._ofm = work.ifm2, work.weights, work.ofm
        self._starts, self._waited = _Starts(), _Waited()
        #: When the last IFM read so far arrived, and when the last weights did.
        self._arrived = 0.0
        self._streamed = issued
        #: First stage of the first block.
        self.start = 0.0

    def block(self, index: int, allowed: float) -> float:
        """Pass block `index` through all stages; returns when its write is acknowledged.

        `allowed` is when the previous operation lets it start. Blocks come in their order.
        """
        asked = self._computing.before_last
        if allowed > asked:
            asked = allowed
        if self._issued > asked:
            asked = self._issued
        if index == 0:
            self.start = asked
        ready, complete = self._fetch(index, asked)
        multiplied = self._multiply(index, ready, complete, allowed)
        return self._put_out(index, multiplied)

    def _fetch(self, index: int, asked: float) -> tuple[float, float]:
        """Read the IFM; returns when the first IFM block of each operand and when all are there."""
        ifm, other_ifm, ifm2 = self._ifm, self._other_ifm, self._ifm2
        reads = self._ports.reads
        start, _, ready = reads[ifm.port].serve(asked, ifm.beats[index], ifm.bursts[index])
        if index == 0:
            self._starts.ifm = start
        if ifm2 is not None:
            second = reads[ifm2.port].serve(asked, ifm2.beats[index], ifm2.bursts[index])
            if second.done > ready:
                ready = second.done
        complete = ready
        if other_ifm is not None:
            others = reads[ifm.port].serve(asked, other_ifm.beats[index], other_ifm.bursts[index])
            if others.done > complete:
                complete = others.done
        if complete > self._arrived:
            self._arrived = complete
        return ready, complete

    def _multiply(self, index: int, ready: float, complete: float, allowed: float) -> float:
        """Multiply what is `ready`, then what arrives by `complete`; returns when that ends."""
        mac, waited = self._mac, self._waited
        cycles = self._work.mac[index]
        begin = mac.last if mac.last > ready else ready
        if self._output.before_last > begin:
            begin = self._output.before_last
        end = begin + cycles
        # The last IFM block's share of the work cannot begin before the block is there.
        late = complete + cycles * self._work.ifm_share
        if late > end:
            waited.ifm += late - end
            end = late
        if self._weights is not None:
            streamed = self._stream(self._weights, index)
            if streamed > end:
                waited.weights += streamed - end
                end = streamed
        if begin > self._computing.last:
            self._stood_still(begin, ready, allowed)
        if index == 0:
            self._starts.mac = begin
        mac.before_last, mac.last = mac.last, end
        return end

    def _stream(self, weights: Moves, index: int) -> float:
        """Read the block's weights and scales; returns when the last of them has arrived."""
        asked = self._streamed
        if self._mac.before_last > asked:
            asked = self._mac.before_last
        start, _, self._streamed = self._ports.reads[weights.port].serve(
            asked, weights.beats[index], weights.bursts[index]
        )
        if index == 0:
            self._starts.weights = start
        return self._streamed

    def _stood_still(self, begin: float, ready: float, allowed: float) -> None:
        """Charge the computing engine's time without a block, one cause after another."""
        idle, waited = self._computing.last, self._waited
        if allowed > idle:
            waited.dependency += allowed - idle
            idle = allowed
        if self._issued > idle:
            waited.issue += self._issued - idle
            idle = self._issued
        if ready > idle:
            waited.ifm += ready - idle
            idle = ready
        if begin > idle:
            waited.accumulators += begin - idle

    def _put_out(self, index: int, multiplied: float) -> float:
        """Scale and write the block; returns when the write is acknowledged."""
        output, ofm, waited = self._output, self._ofm, self._waited
        cycles, beats = self._work.output[index], ofm.beats[index]
        port = self._ports.writes[ofm.port]
        begin = multiplied if multiplied > output.last else output.last
        end = begin + cycles
        # The write begins with the first beat of output.
        start, _, written = port.serve(begin + cycles / (beats or 1.0), beats, ofm.bursts[index])
        waited.output_input += begin - output.last
        if start > end:
            waited.output_write += start - end
            end = start
        if index == 0:
            self._starts.output, self._starts.ofm = begin, start
        output.before_last, output.last = output.last, end
        drained = end + port.latency
        return drained if drained > written else written

    def waits(self) -> Waits:
        """The waits of the blocks so far."""
        waited = self._waited
        return Waits(
            waited.issue,
            waited.dependency,
            waited.ifm,
            waited.weights,
            waited.accumulators,
            waited.output_input,
            waited.output_write,
        )

    def spans(self, done: float) -> tuple[Span, ...]:
        """When each engine was in use. `done` is when the last block was done."""
        starts, weights = self._starts, self._weights
        spans = [
            Span(Engine.IFM, self._ifm.port, starts.ifm, self._arrived),
            Span(Engine.OUTPUT, None, starts.output, self._output.last),
            Span(Engine.OFM, self._ofm.port, starts.ofm, done),
        ]
        if self._computing is self._mac:
            spans.append(Span(Engine.MAC, None, starts.mac, self._mac.last))
        if weights is not None:
            spans.append(Span(Engine.WEIGHTS, weights.port, starts.weights, self._streamed))
        return tuple(spans)
