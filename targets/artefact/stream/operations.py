"""What the NPU is told to do: one frozen dataclass for each kind of operation.

Registers of the command stream keep their values. An operation here holds all the state it depends
on, already decoded, so nothing after the decoder knows register numbers. The parts of operations
are defined in `operation_parts` and can also be imported from here.
"""

from __future__ import annotations

from dataclasses import dataclass

from targets.artefact.stream.operation_parts import (
    AccumulatorFormat,
    Activation,
    ActivationFunction,
    Block,
    DataType,
    ElementwiseMode,
    FeatureMap,
    FlashRange,
    Kernel,
    Layout,
    OperandScaling,
    Padding,
    PoolMode,
    Rounding,
    Scale,
    Upscale,
)
from targets.ethos_u55.weights import WeightOrder

__all__ = [
    "AccumulatorFormat",
    "Activation",
    "ActivationFunction",
    "Block",
    "BlockOperation",
    "Conv",
    "DataType",
    "Depthwise",
    "Dma",
    "DmaWait",
    "Elementwise",
    "ElementwiseMode",
    "FeatureMap",
    "FlashRange",
    "Irq",
    "Kernel",
    "KernelWait",
    "Layout",
    "OperandScaling",
    "Operation",
    "Padding",
    "PmuMask",
    "Pool",
    "PoolMode",
    "Rounding",
    "Scale",
    "Stop",
    "Upscale",
]


@dataclass(frozen=True)
class Operation:
    """The base of all operations: where in the command stream it was issued."""

    #: Index of the 32-bit word, counted from the first word of the command stream.
    word: int
    #: Words of the stream since the previous operation, including this one's.
    issue_words: int


@dataclass(frozen=True)
class BlockOperation(Operation):
    """The fields of all operations that write an OFM block by block."""

    ifm: FeatureMap
    ofm: FeatureMap
    kernel: Kernel
    padding: Padding
    upscale: Upscale
    activation: Activation
    rounding: Rounding
    block: Block
    #: None: every output channel has its own scale (`scales`).
    ofm_scale: Scale | None

    @property
    def weight_order(self) -> WeightOrder:
        """The order in which elements of the kernel and the IFM are taken."""
        return WeightOrder.DEPTH_FIRST

    @property
    def ofm_zero_point(self) -> int:
        """What is added to the scaled result.

        A 32-bit output has neither zero point nor clamp unless ACTIVATION forces a narrower type.
        Vela's older compiler core leaves the zero point of softmax's input in OFM_ZERO_POINT for
        all the 32-bit steps of a softmax. The outputs equal TFLite-Micro's if, and only if, it is
        ignored (`tests/integration/test_simulator_forms.py`).
        """
        wide = self.ofm.dtype is DataType.INT32 and self.activation.clip is None
        return 0 if wide else self.ofm.zero_point


@dataclass(frozen=True)
class Conv(BlockOperation):
    """NPU_OP_CONV, which also does fully-connected layers and transposed convolutions."""

    weights: FlashRange
    #: `SCALE_BYTES` an output channel.
    scales: FlashRange

    @property
    def weight_order(self) -> WeightOrder:
        """Depth first, or part kernel first."""
        part_kernel = self.kernel.part_kernel_first
        return WeightOrder.PART_KERNEL if part_kernel else WeightOrder.DEPTH_FIRST


@dataclass(frozen=True)
class Depthwise(BlockOperation):
    """NPU_OP_DEPTHWISE."""

    weights: FlashRange
    scales: FlashRange

    @property
    def weight_order(self) -> WeightOrder:
        """Its own."""
        return WeightOrder.DEPTHWISE


@dataclass(frozen=True)
class Pool(BlockOperation):
    """NPU_OP_POOL. `ofm_scale` is None only if global scaling is off."""

    mode: PoolMode
    #: For average pooling: divide by the number of elements that are not padding.
    divides_by_valid: bool


@dataclass(frozen=True)
class Elementwise(BlockOperation):
    """NPU_OP_ELEMENTWISE. A and B are the operands after the swap of `reverse_operands`."""

    mode: ElementwiseMode
    #: None for unary modes and for a scalar.
    ifm2: FeatureMap | None
    #: IFM2_SCALAR minus IFM2_ZERO_POINT.
    scalar: int | None
    #: IFM2 is operand A.
    reverse_operands: bool
    #: The second input is repeated along this dimension.
    broadcast_height: bool
    broadcast_width: bool
    broadcast_depth: bool
    scaling: OperandScaling
    opa_scale: Scale
    #: Multiplier of operand B, which has no shift.
    opb_scale: int


@dataclass(frozen=True)
class Dma(Operation):
    """NPU_OP_DMA_START: copies `length` bytes, `size0` rows and `size1` planes (1 if unused).

    `destination_region` None means the look-up tables in SHRAM; `destination` is then an offset
    from their first byte (`LUT_BYTES`).
    """

    source_region: int
    source: int
    destination_region: int | None
    destination: int
    length: int
    size0: int
    size1: int
    #: Bytes from the start of one row or plane to the next, at the strided end.
    skip0: int
    skip1: int
    source_strided: bool
    destination_strided: bool


@dataclass(frozen=True)
class DmaWait(Operation):
    """Wait until at most `outstanding` DMA transfers are in progress."""

    outstanding: int


@dataclass(frozen=True)
class KernelWait(Operation):
    """Wait until at most `outstanding` block operations are in progress."""

    outstanding: int


@dataclass(frozen=True)
class Irq(Operation):
    """Raise the interrupt."""

    mask: int


@dataclass(frozen=True)
class PmuMask(Operation):
    """Enable or disable the PMU counters."""

    enable: int


@dataclass(frozen=True)
class Stop(Operation):
    """End of the stream."""

    mask: int
