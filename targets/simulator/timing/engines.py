"""How long the NPU's own engines take for each block: multipliers, weight decoder, output stage.

Facts from Vela 5.2.0's performance estimate (regor, `ethos_u55_performance.cpp`) and its table of
accelerators (`ethos_u55.cpp`); what Vela works out for a typical block is done here for every
block, clipped to the OFM.

The multipliers work on micro-blocks of the OFM. One *step* multiplies the weights of one layer of
micro-blocks, one kernel element (four, part-kernel first and depthwise: two if 16-bit part-kernel)
and one IFM block (eight channels part-kernel first) with every micro-block of the plane, four
cycles each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from bench.core.rounding import ceil_div
from targets.artefact.stream.operations import (
    AccumulatorFormat,
    ActivationFunction,
    BlockOperation,
    Conv,
    Depthwise,
    Elementwise,
    ElementwiseMode,
    OperandScaling,
    Pool,
    PoolMode,
)
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.kernels import sub_kernel_sizes
from targets.ethos_u55.micro_blocks import IFM_MICRO_BLOCK_DEPTH, ofm_micro_block
from targets.ethos_u55.weights import kernel_step
from targets.simulator.timing.assumptions import DECIDED, Assumptions
from targets.simulator.traffic.blocks import ifm_block_depth

__all__ = ["DECODED_PER_CYCLE", "BlockCycles", "Engines"]

#: Weights the decoder puts out in a cycle. Vela: refilling the weight buffer for a step, 32 IFM
#: channels x the micro-block's OFM channels, takes 32 cycles for 8 OFM channels and 16 for 4.
DECODED_PER_CYCLE = 8
#: Cycles the multipliers spend on a micro-block in one step.
_CYCLES_PER_MICRO_BLOCK = 4
#: Channels of a step, depth first.
_STEP_CHANNELS = 32


@dataclass(frozen=True)
class _Engines:
    """What distinguishes the four accelerators."""

    #: Cycles until an accumulator may be added to again, 32 and 40 bits wide. They show only
    #: where a step has one micro-block, so that the next step needs the same accumulator.
    accumulate: tuple[int, int]
    #: Whether pooling takes longer for wider IFMs (`Assumptions.pooling_bits`): not at 32 MACs.
    pooling_by_width: bool
    #: Output-stage cycles for one element.
    unary_32bit: float
    binary_32bit: float
    multiply_to_32bit: float
    #: MUL, and whatever is scaled from 40-bit accumulators.
    multiply: float
    #: ADD and SUB with both operands scaled by 16 bits, and with one of them by 32 bits.
    add_simple: float
    add_advanced: float
    max_pool: float
    other: float
    #: At least this, if there is a table or function behind it.
    function: float = 1.0


_ENGINES: Mapping[int, _Engines] = MappingProxyType(
    {
        Accelerator.U55_32: _Engines(
            accumulate=(3, 7),
            pooling_by_width=False,
            unary_32bit=2,
            binary_32bit=3,
            multiply_to_32bit=3,
            multiply=3,
            add_simple=4,
            add_advanced=6,
            max_pool=1,
            other=2,
        ),
        Accelerator.U55_64: _Engines(
            accumulate=(2, 3),
            pooling_by_width=True,
            unary_32bit=1,
            binary_32bit=1.5,
            multiply_to_32bit=1.5,
            multiply=1.5,
            add_simple=2,
            add_advanced=3,
            max_pool=0.5,
            other=1,
        ),
        Accelerator.U55_128: _Engines(
            accumulate=(2, 3),
            pooling_by_width=True,
            unary_32bit=0.75,
            binary_32bit=1.25,
            multiply_to_32bit=0.75,
            multiply=0.75,
            add_simple=1,
            add_advanced=1.5,
            max_pool=0.25,
            other=0.5,
        ),
        Accelerator.U55_256: _Engines(
            accumulate=(2, 2),
            pooling_by_width=True,
            unary_32bit=0.625,
            binary_32bit=1.125,
            multiply_to_32bit=0.5,
            multiply=0.375,
            add_simple=0.5,
            add_advanced=0.75,
            max_pool=0.125,
            other=0.25,
        ),
    }
)


@dataclass(frozen=True)
class BlockCycles:
    """Cycles a block keeps each engine busy if nothing makes it wait."""

    #: Zero for elementwise operations.
    mac: float
    output: float
    #: Zero where there are no weights. `mac` is never less: it includes waiting for the decoder.
    decode: float


class Engines:
    """The engines of the Ethos-U55 with `macs` MACs, set up for one operation.

    Answers are kept: of an operation's blocks only those at the edges differ in size.
    """

    def __init__(
        self, operation: BlockOperation, macs: int, assumptions: Assumptions = DECIDED
    ) -> None:
        self._operation = operation
        self._engines = _ENGINES[macs]
        self._assumptions = assumptions
        self._output = _output_cycles(operation, self._engines)
        self._micro_block = _micro_block(operation, macs)
        self._known: dict[tuple[int, int, int], BlockCycles] = {}

    def block(self, height: int, width: int, depth: int) -> BlockCycles:
        """Engine times of a block that produces `height` x `width` x `depth` OFM elements."""
        size = height, width, depth
        known = self._known.get(size)
        if known is None:
            known = self._known[size] = self._block(height, width, depth)
        return known

    def _block(self, height: int, width: int, depth: int) -> BlockCycles:
        operation = self._operation
        output = height * width * depth * self._output
        if isinstance(operation, Elementwise):
            return BlockCycles(0.0, output, 0.0)
        rows, columns, channels = self._micro_block
        plane = ceil_div(height, rows) * ceil_div(width, columns)
        layers = ceil_div(depth, channels)
        if isinstance(operation, Pool) and operation.mode is not PoolMode.REDUCE_SUM:
            factor = 1
            if self._engines.pooling_by_width:
                factor = operation.ifm.dtype.bytes * 8 // self._assumptions.pooling_bits
            return BlockCycles(plane * layers * self._pooling * factor, output, 0.0)
        per_plane = _CYCLES_PER_MICRO_BLOCK * plane
        if isinstance(operation, Depthwise):
            per_plane *= operation.ifm.dtype.bytes
        refill = _STEP_CHANNELS * channels // DECODED_PER_CYCLE
        steps, lags = 0, 0
        for part in self._steps:
            steps += part
            lags += part if layers == 1 else (part - 1) * layers
        mac = max(refill, per_plane) * layers * steps
        if plane == 1:
            mac += self._lag * lags
        weighted = isinstance(operation, (Conv, Depthwise))
        return BlockCycles(
            float(mac * self._repeats),
            output,
            float(layers * refill * steps * self._repeats) if weighted else 0.0,
        )

    @cached_property
    def _steps(self) -> tuple[int, ...]:
        return tuple(_steps(self._operation))

    @cached_property
    def _repeats(self) -> int:
        return _ifm_parts(self._operation)

    @cached_property
    def _lag(self) -> int:
        wide = self._operation.block.accumulator is AccumulatorFormat.INT40
        return self._engines.accumulate[wide]

    @cached_property
    def _pooling(self) -> float:
        """Cycles for a micro-block of a pool, before its width is regarded."""
        parts = _sub_kernels(self._operation)
        return float(sum(max(_CYCLES_PER_MICRO_BLOCK, part) for part in parts))


def _micro_block(operation: BlockOperation, macs: int) -> tuple[int, int, int]:
    """The largest NPU turns its micro-block of 2 x 2 to 1 x 4 for convolutions of one row.

    Its condition in Vela: kernel and OFM of height 1, and a width that divides by two.
    """
    height, width, depth = ofm_micro_block(macs)
    ofm = operation.ofm
    one_row = ofm.height == 1 and operation.kernel.height == 1 and ofm.width % 2 == 0
    if height == 2 and one_row and isinstance(operation, Conv):
        return 1, height * width, depth
    return height, width, depth


def _sub_kernels(operation: BlockOperation) -> Iterator[int]:
    """Elements of each part of at most 8 x 8, dilation included, that the kernel is done in."""
    kernel = operation.kernel
    for y in sub_kernel_sizes(kernel.height, kernel.dilation_y):
        for x in sub_kernel_sizes(kernel.width, kernel.dilation_x):
            yield y * x


def _steps(operation: BlockOperation) -> Iterator[int]:
    """Kernel steps of each sub-kernel."""
    at_once = kernel_step(operation.weight_order, 8 * operation.ifm.dtype.bytes)
    for elements in _sub_kernels(operation):
        yield ceil_div(elements, at_once)


def _ifm_parts(operation: BlockOperation) -> int:
    """How many parts of the IFM's depth a step is repeated for."""
    if isinstance(operation, Depthwise):
        return 1
    if isinstance(operation, Conv) and operation.kernel.part_kernel_first:
        return ceil_div(operation.ifm.depth, IFM_MICRO_BLOCK_DEPTH)
    return ceil_div(operation.ifm.depth, ifm_block_depth(operation))


def _output_cycles(operation: BlockOperation, engines: _Engines) -> float:
    """Cycles the output stage takes for an element, on average."""
    cycles = _scaling_cycles(operation, engines)
    if operation.activation.function is not ActivationFunction.NONE:
        cycles = max(cycles, engines.function)
    return cycles


def _scaling_cycles(operation: BlockOperation, engines: _Engines) -> float:
    if isinstance(operation, Elementwise):
        if operation.ifm.dtype.bytes == 4:
            return engines.unary_32bit if operation.mode.unary else engines.binary_32bit
        if operation.mode is ElementwiseMode.MUL:
            to_32bit = operation.ofm.dtype.bytes == 4
            return engines.multiply_to_32bit if to_32bit else engines.multiply
        if operation.mode in (ElementwiseMode.ADD, ElementwiseMode.SUB):
            simple = operation.scaling is OperandScaling.BOTH_16BIT
            return engines.add_simple if simple else engines.add_advanced
        return engines.other
    if operation.block.accumulator is AccumulatorFormat.INT40:
        return engines.multiply
    if isinstance(operation, Pool) and operation.mode is PoolMode.MAX:
        return engines.max_pool
    return engines.other
