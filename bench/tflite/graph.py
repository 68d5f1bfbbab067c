"""What a `.tflite` file holds, as `bench.tflite.reader` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.core.schema import StrictModel

__all__ = ["VELA_OPERATOR", "FileGraph", "OperatorInfo", "OperatorNode", "TensorInfo"]

#: The custom operator that holds what runs on the NPU.
VELA_OPERATOR = "ethos-u"


class TensorInfo(StrictModel):
    """One tensor of the first subgraph."""

    name: str
    #: The shape with which the model was converted; dynamic dimensions are 1.
    shape: tuple[int, ...]
    #: The shape with -1 for dynamic dimensions; equals `shape` if the file has none.
    shape_signature: tuple[int, ...]
    #: TFLite's type in lower case, which is also NumPy's name if NumPy has the type.
    dtype: str
    #: Empty when not quantised, one value per tensor or one per channel. real = scale * (q - zp).
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    #: Size in bytes of the constant's data; 0 for a feature map.
    constant_bytes: int
    is_variable: bool
    #: A constant of which the file holds only the values that are not 0, and where they are.
    is_sparse: bool = False


class OperatorInfo(StrictModel):
    """One operator of the first subgraph, in execution order."""

    #: TFLite's builtin name such as `CONV_2D`, or `CUSTOM`.
    name: str
    #: The custom operator's own name, None for a builtin.
    custom: str | None


@dataclass(frozen=True)
class OperatorNode:
    """One operator and the indices of its tensors; -1 for an optional one that is absent."""

    info: OperatorInfo
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class FileGraph:
    """A subgraph of a file, the first if nothing else is said; indices are checked."""

    #: The file itself.
    data: bytes
    tensors: tuple[TensorInfo, ...]
    #: Indices of the graph's inputs and outputs, in the model's own order.
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    #: In execution order.
    operators: tuple[OperatorNode, ...]
    #: Each tensor's constant data, uint8 `[bytes]`, read-only; None for a feature map.
    constants: tuple[npt.NDArray[np.uint8] | None, ...]
    #: Name of the entry -> its bytes, uint8 `[bytes]`, read-only.
    metadata: Mapping[str, npt.NDArray[np.uint8]]
    #: Which subgraph of the file it is.
    subgraph: int = 0
