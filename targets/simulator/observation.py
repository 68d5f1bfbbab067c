"""What single operations give while a model runs, for those who look for where two runs part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from bench.core.arrays import Array

__all__ = ["CpuOutput", "NpuOutput", "Observer", "StreamObserver"]


@dataclass(frozen=True, eq=False)
class NpuOutput:
    """The OFM that an operation of a command stream has just written."""

    #: Its index among the operations of all `ethos-u` operators.
    operation: int
    #: `[rows, height, width, depth]` in the OFM's dtype; a copy.
    values: Array


@dataclass(frozen=True, eq=False)
class CpuOutput:
    """A tensor that an operator on the CPU has just written."""

    #: Index into `Artefact.tensors`.
    tensor: int
    #: `[rows, ...]` in the tensor's shape and dtype; a copy.
    values: Array


#: Gets each output in the order of the work, once for every inference and slice of rows.
Observer: TypeAlias = Callable[[NpuOutput | CpuOutput], None]
#: The same for one command stream: the index of the operation there, and a copy of its OFM.
StreamObserver: TypeAlias = Callable[[int, Array], None]
