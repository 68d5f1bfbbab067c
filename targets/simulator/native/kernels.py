"""What the kernels compute, and how their arguments are laid out; nothing here needs LLVM.

A kernel is a function of one record, an int64 array of numbers and addresses. The caller keeps the
arrays alive whose addresses it gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Protocol, TypeAlias

__all__ = [
    "AXES",
    "LANES",
    "PIECE_FIELDS",
    "Dot",
    "Function",
    "Kernel",
    "Kernels",
    "Multiplication",
    "PairField",
    "PairLookup",
    "Product",
    "SliceField",
    "SliceScan",
    "kernel_called",
]

#: Channels that are processed together, on every processor: LLVM cuts vectors into registers.
LANES = 16


class Dot(Enum):
    """How a step of a multiplication multiplies. The sums have 32 bits."""

    #: Four unsigned bytes by four signed weights of 8 bits: one instruction of AVX-512 VNNI. It
    #: adds four products of 17 bits in 32, so nothing saturates.
    QUADS = "quads"
    #: Two numbers by two weights, all of 16 bits. On x86, LLVM makes VPMADDWD of it.
    PAIRS = "pairs"
    #: A channel's unsigned byte by its weight of 16 bits.
    CHANNELS = "channels"

    @property
    def input_bytes(self) -> int:
        """Size of an element in the scratch memory."""
        return 2 if self is Dot.PAIRS else 1

    @property
    def step(self) -> int:
        """Elements along the window that a step takes."""
        return {Dot.QUADS: 4, Dot.PAIRS: 2, Dot.CHANNELS: 1}[self]

    @property
    def weight_bytes(self) -> int:
        """Size of a weight."""
        return 1 if self is Dot.QUADS else 2


@dataclass(frozen=True)
class Multiplication:
    """Convolutions, depthwise convolutions and sums; `multiplication` draws the loops."""

    dot: Dot
    #: Vectors of output channels, and positions of the OFM, that are in registers at a time.
    blocks: int
    positions: int
    #: Whether bytes of the IFM have a sign. They lose it by being raised by 128, except in PAIRS.
    signed: bool

    @property
    def name(self) -> str:
        """The function's name."""
        kind = "signed" if self.signed else "unsigned"
        return f"multiply_{self.dot.value}_{self.blocks}_{self.positions}_{kind}"


class Product(IntEnum):
    """The arguments of a multiplication, by their place in the record. Tables hold int64."""

    #: Rows of the batch, and how many of them are in the scratch memory at a time.
    ROWS = 0
    CHUNK = 1
    SOURCE = 2
    #: Bytes from row to row; the same below.
    SOURCE_ROW = 3
    PIECES = 4
    #: `[pieces, PIECE_FIELDS]`
    PIECE_TABLE = 5
    SCRATCH = 6
    SCRATCH_ROW = 7
    TARGET = 8
    TARGET_ROW = 9
    #: Positions of the OFM.
    POSITIONS = 10
    #: `[rows of a chunk, positions]`: bytes from the scratch memory's start to each window, and
    #: from the chunk's first row to each position of the OFM.
    INPUT_OFFSETS = 11
    OUTPUT_OFFSETS = 12
    STEPS = 13
    #: `[steps]`: bytes from a window's start.
    STEP_OFFSETS = 14
    GROUPS = 15
    #: `[groups, steps, blocks, 16, elements of a step]`
    WEIGHTS = 16
    #: int32 `[groups, blocks, 16]`: where the sums begin.
    START = 17
    #: int32 `[groups, blocks, 16]`; the next four are int64 of the same shape. `_stage` says how
    #: they make a value of a sum.
    MULTIPLIER = 18
    BEFORE = 19
    NEGATIVE = 20
    AFTER = 21
    SHIFT = 22
    ZERO_POINT = 23
    LOW = 24
    HIGH = 25
    #: `[groups, blocks]`: bytes from a position of the OFM, and how many channels there are.
    CHANNEL_OFFSETS = 26
    CHANNEL_COUNTS = 27


#: Of a piece of the IFM: the byte where it begins; its lines, columns and bricks; the bytes of a
#: run; the strides of lines, columns and bricks; where it goes in the scratch memory, and the
#: strides there.
PIECE_FIELDS = 12


@dataclass(frozen=True)
class PairLookup:
    """Operations on two bytes: what two of them give is in a table."""

    name: str = "look_up_pairs"


#: Axes of the arrays of a `PairLookup`, with strides of their own.
AXES = 5


class PairField(IntEnum):
    """The arguments of a `PairLookup`, by their place in the record. Strides are in bytes."""

    #: uint8 `[256 * 256]`
    TABLE = 0
    FIRST = 1
    SECOND = 2
    TARGET = 3
    #: As many as there are axes, outermost first; the same for the strides of each array.
    SIZES = 4
    FIRST_STRIDES = SIZES + AXES
    SECOND_STRIDES = FIRST_STRIDES + AXES
    TARGET_STRIDES = SECOND_STRIDES + AXES


@dataclass(frozen=True)
class SliceScan:
    """The numbers of one slice of a compressed weight stream; see `weights.slices`."""

    name: str = "scan_slice"


class SliceField(IntEnum):
    """The arguments of a `SliceScan`, by their place in the record."""

    #: The stream, with `GUARD_BYTES` of zeros behind it, and how many bits it has.
    BYTES = 0
    BITS = 1
    #: The bit where the first chunk begins; afterwards that behind the last chunk, or -1 minus the
    #: bit where the chunk begins in which the stream ends.
    POSITION = 2
    WEIGHTS = 3
    RUNS = 4
    DIVISOR = 5
    ZERO_DIVISOR = 6
    SYMBOLS = 7
    ZERO_SYMBOLS = 8
    #: 0 or 1.
    COMPRESSED = 9
    TRUNCATED = 10
    #: How far the weights may be ahead of the zero runs.
    BALANCE = 11
    #: int64 `[weights + CHUNK]` and `[runs + CHUNK]`: where the numbers go.
    INDICES = 12
    RUN_LENGTHS = 13


Kernel: TypeAlias = Multiplication | PairLookup | SliceScan
#: Takes the address of a record.
Function: TypeAlias = Callable[[int], None]


def kernel_called(name: str) -> Kernel:
    """The kernel with this name. Raises `ValueError` if there is none."""
    for single in (PairLookup(), SliceScan()):
        if single.name == name:
            return single
    _, dot, blocks, positions, kind = name.split("_")
    return Multiplication(Dot(dot), int(blocks), int(positions), kind == "signed")


class Kernels(Protocol):
    """Who makes kernels for the processor at hand."""

    @property
    def has_wide_registers(self) -> bool:
        """Whether there are 32 registers of `LANES` numbers of 32 bits."""

    @property
    def has_quads(self) -> bool:
        """Whether there is an instruction for `Dot.QUADS`."""

    def function(self, kernel: Kernel) -> Function | None:
        """`kernel` as machine code; None if it cannot be trusted, which has been logged."""

    def rest(self) -> None:
        """End what was started to make kernels. It starts again when another one is needed."""
