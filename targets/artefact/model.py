"""A compiled model: what is where in memory, and which operators run on which data.

An `ethos-u` operator sees memory as regions. Region 0 is the read-only tensor (weights, scales,
tables), region 1 is the tensor arena, and region 2 is the fast scratch (the arena again if there is
no separate memory). The operators of a graph share the arena, so feature maps may pass from one to
another without being named as tensors. With Vela's `--separate-io-regions`, the operator's inputs
are packed into region 3 and its outputs into region 4 instead of being in the arena.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.tflite.graph import FileGraph
from targets.artefact.driver_actions import DriverPayload
from targets.artefact.stream.operations import Operation

__all__ = [
    "ARENA_LIMIT",
    "FAST_REGION",
    "FLASH_REGION",
    "INPUT_REGION",
    "OUTPUT_REGION",
    "SCRATCH_REGION",
    "ArenaRegion",
    "Artefact",
    "CpuOperator",
    "FlashRegion",
    "InterfaceRegion",
    "ModelTensor",
    "NpuOperator",
    "Region",
]

FLASH_REGION = 0
SCRATCH_REGION = 1
FAST_REGION = 2
INPUT_REGION = 3
OUTPUT_REGION = 4

#: The largest arena, in bytes, that is considered real; Ethos-U55 systems have a few MiB.
ARENA_LIMIT = 1 << 28

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ModelTensor:
    """One tensor of the graph."""

    index: int
    name: str
    shape: tuple[int, ...]
    #: TFLite's type in lower case, which is also NumPy's name if NumPy has the type.
    dtype: str
    #: Bytes of the whole tensor.
    size: int
    #: Byte offset in the arena; None if Vela has planned none (constants, and tensors that only
    #: the CPU uses).
    offset: int | None
    #: Constant data, uint8 `[size]`, read-only; None for a feature map.
    constant: Bytes | None
    #: real = scale * (q - zero_point); empty when not quantised.
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    #: Keeps its value from one inference to the next.
    is_variable: bool

    @property
    def start_value(self) -> int:
        """What TFLite-Micro fills state of this type with at the start: real 0."""
        return self.zero_points[0] if self.dtype == "int8" and self.zero_points else 0


@dataclass(frozen=True, eq=False)
class FlashRegion:
    """Read-only memory, uint8 `[bytes]`."""

    data: Bytes


@dataclass(frozen=True)
class ArenaRegion:
    """A part of the tensor arena, which all operators share."""

    offset: int
    length: int


@dataclass(frozen=True)
class InterfaceRegion:
    """Memory that belongs to one operator: tensors packed one after the other."""

    #: (index of the tensor, byte offset in the region).
    slots: tuple[tuple[int, int], ...]
    length: int


Region = FlashRegion | ArenaRegion | InterfaceRegion


@dataclass(frozen=True, eq=False)
class NpuOperator:
    """An `ethos-u` operator. Tensors are indices into `Artefact.tensors`."""

    #: Position among the graph's operators.
    index: int
    payload: DriverPayload
    operations: tuple[Operation, ...]
    regions: Mapping[int, Region]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class CpuOperator:
    """An operator that Vela left to the CPU. Its options are in `Artefact.file`, at `index`."""

    index: int
    #: TFLite's builtin name, or `CUSTOM` with `custom`.
    name: str
    custom: str | None
    #: -1 for an optional input that is absent.
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Artefact:
    """A compiled model, checked and decoded."""

    #: Name of the file, without directories.
    name: str
    tensors: tuple[ModelTensor, ...]
    #: In execution order.
    operators: tuple[NpuOperator | CpuOperator, ...]
    #: Indices into `tensors`, in the model's own order.
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    #: The multiply-accumulate units it was compiled for; None if everything is left to the CPU.
    macs: int | None
    #: Size of the tensor arena.
    arena_bytes: int
    #: The flatbuffer, for running CPU operators; None for a raw file.
    file: FileGraph | None

    @property
    def npu_operators(self) -> tuple[NpuOperator, ...]:
        """The operators that run on the NPU."""
        return tuple(op for op in self.operators if isinstance(op, NpuOperator))
