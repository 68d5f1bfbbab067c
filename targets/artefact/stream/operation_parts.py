"""What operations are made of: element types, feature maps, kernels, scales, blocks.

Addresses are byte offsets into a region. Names follow Arm's register names.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from targets.ethos_u55.kernels import sub_kernel_count, window_extent

__all__ = [
    "AccumulatorFormat",
    "Activation",
    "ActivationFunction",
    "Block",
    "DataType",
    "ElementwiseMode",
    "FeatureMap",
    "FlashRange",
    "Kernel",
    "Layout",
    "OperandScaling",
    "Padding",
    "PoolMode",
    "Rounding",
    "Scale",
    "Upscale",
]


class DataType(str, Enum):
    """Element type of a feature map, valued by NumPy's name."""

    UINT8 = "uint8"
    INT8 = "int8"
    UINT16 = "uint16"
    INT16 = "int16"
    INT32 = "int32"

    @property
    def bytes(self) -> int:
        """Size of one element."""
        return {"8": 1, "6": 2, "2": 4}[self.value[-1]]

    @property
    def signed(self) -> bool:
        """Whether negative values exist."""
        return not self.value.startswith("u")


class Layout(IntEnum):
    """How a feature map lies in memory, valued as in the precision registers (bit 6)."""

    NHWC = 0
    #: Bricks of 16 channels: `address = y*stride_y + c//16*stride_c + x*stride_x + c%16*bytes`.
    NHCWB16 = 1


class Upscale(IntEnum):
    """IFM_UPSCALE: how the gaps are filled when an IFM is read at 2 x 2 its size."""

    NONE = 0
    NEAREST = 1
    ZEROS = 2


class Rounding(IntEnum):
    """How a scaled accumulator becomes an integer; bits 15:14 of OFM_PRECISION."""

    #: TensorFlow Lite's double rounding.
    TFL = 0
    TRUNCATE = 1
    #: Half up.
    NATURAL = 2


class AccumulatorFormat(IntEnum):
    """ACC_FORMAT; decides how much SHRAM accumulators take, not what is computed."""

    INT32 = 0
    INT40 = 1
    FP16 = 2


class ActivationFunction(Enum):
    """What is done to the result before it is stored."""

    NONE = "none"
    TANH = "tanh"
    SIGMOID = "sigmoid"
    LOOKUP = "lookup"


class PoolMode(IntEnum):
    """Parameter of NPU_OP_POOL."""

    MAX = 0
    AVERAGE = 1
    REDUCE_SUM = 2


class ElementwiseMode(IntEnum):
    """Parameter of NPU_OP_ELEMENTWISE."""

    MUL = 0
    ADD = 1
    SUB = 2
    MIN = 3
    MAX = 4
    LRELU = 5
    ABS = 6
    CLZ = 7
    SHR = 8
    SHL = 9

    @property
    def unary(self) -> bool:
        """Whether there is no second operand."""
        return self in (ElementwiseMode.LRELU, ElementwiseMode.ABS, ElementwiseMode.CLZ)


class OperandScaling(IntEnum):
    """IFM scale mode of ADD and SUB; bits 9:8 of IFM_PRECISION."""

    #: Both operands by 16-bit factors.
    BOTH_16BIT = 0
    #: Operand A by a 32-bit scale with double rounding, operand B shifted.
    A_32BIT = 1
    #: The reverse.
    B_32BIT = 2


@dataclass(frozen=True)
class FlashRange:
    """A range of bytes: a weight stream or a table of scales."""

    region: int
    address: int
    length: int


@dataclass(frozen=True)
class FeatureMap:
    """A feature map of up to four tiles; `[height, width, depth]`, batch is always 1.

    Sizes are those in memory: an IFM read at 2 x 2 (`Upscale`) has half of the rows and columns
    that the kernel's windows cover, rounded up.

    Tile 0 covers rows below `tile_height0` and columns below `tile_width0`. Tile 1 covers the
    columns from `tile_width0` on and rows below `tile_height1`. Tiles 2 and 3 cover the remaining
    rows.
    """

    region: int
    layout: Layout
    dtype: DataType
    height: int
    width: int
    depth: int
    bases: tuple[int, int, int, int]
    tile_height0: int
    tile_height1: int
    tile_width0: int
    #: Bytes; negative strides are legal.
    stride_y: int
    stride_x: int
    #: The element size for NHWC, because the NPU ignores the register.
    stride_c: int
    zero_point: int


@dataclass(frozen=True)
class Kernel:
    """A kernel. `height` and `width` are undilated element counts."""

    height: int
    width: int
    stride_y: int
    stride_x: int
    dilation_y: int
    dilation_x: int
    #: Weight order of a convolution: part-kernel first, otherwise depth first.
    part_kernel_first: bool

    def covered(self, height: int, width: int) -> tuple[int, int]:
        """The rows and columns of the IFM that `height` x `width` elements of an OFM depend on.

        See `window_extent`: padding is included.
        """
        return (
            window_extent(height, self.stride_y, self.height, self.dilation_y),
            window_extent(width, self.stride_x, self.width, self.dilation_x),
        )

    @property
    def sub_kernels(self) -> tuple[int, int]:
        """Into how many sub-kernels the kernel is split along its height and its width."""
        return (
            sub_kernel_count(self.height, self.dilation_y),
            sub_kernel_count(self.width, self.dilation_x),
        )


@dataclass(frozen=True)
class Padding:
    """Elements of zero-point value around the IFM."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Scale:
    """A 32-bit multiplier and a right shift (0..63)."""

    multiplier: int
    shift: int


@dataclass(frozen=True)
class Activation:
    """Clamp and function. `lut_index` counts 256-byte slots of SHRAM's table area.

    The clamp comes before a table look-up and after `TANH` and `SIGMOID`.
    """

    function: ActivationFunction
    lut_index: int
    #: ACTIVATION_MIN and _MAX, sign-extended for a signed output.
    minimum: int
    maximum: int
    #: Type the value is clamped to before a table look-up; None = the OFM's.
    clip: DataType | None


@dataclass(frozen=True)
class Block:
    """Block configuration and SHRAM layout. Decides timing and the weight order only."""

    height: int
    width: int
    depth: int
    accumulator: AccumulatorFormat
    ifm_ib_end: int
    #: 0 where there is no second feature map to buffer.
    ifm2_ib_start: int
    ab_start: int
    #: BLOCKDEP: how many blocks may be unfinished of the previous operation when this one starts.
    blockdep: int
