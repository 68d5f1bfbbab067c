"""Read-only inspection of `.tflite` files: what a model is, and whether the bench can take it.

It needs neither TensorFlow nor an interpreter; `bench.tflite.reader` reads the file.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np

from bench.core.errors import ModelError
from bench.core.schema import StrictModel
from bench.tflite.graph import VELA_OPERATOR, FileGraph, OperatorInfo, TensorInfo
from bench.tflite.reader import graph_of, read_graph

__all__ = [
    "QUANTISED_DTYPES",
    "ModelFile",
    "OperatorInfo",
    "TensorInfo",
    "check_quantised",
    "inspect",
    "load_quantised",
]

#: Element types of the feature maps that the Ethos-U55 computes.
QUANTISED_DTYPES = ("int8", "uint8", "int16")

#: Further element types that a quantised model may return (ARGMAX and similar give counts).
_OUTPUT_DTYPES = (*QUANTISED_DTYPES, "int32", "int64")

#: Operators, in addition to variable tensors, that keep state from one inference to the next.
_STATEFUL = frozenset({"VAR_HANDLE", "CALL_ONCE"})


class ModelFile(StrictModel):
    """The contents of a `.tflite` file. Inputs and outputs are in the model's own order."""

    sha256: str
    size_bytes: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    operators: tuple[OperatorInfo, ...]
    tensors: tuple[TensorInfo, ...]

    @property
    def is_vela_output(self) -> bool:
        """Whether Vela has already compiled this model (it has an `ethos-u` operator)."""
        return any(operator.custom == VELA_OPERATOR for operator in self.operators)

    @property
    def has_state(self) -> bool:
        """Whether an inference can depend on the previous one."""
        return any(tensor.is_variable for tensor in self.tensors) or any(
            operator.name in _STATEFUL for operator in self.operators
        )


def inspect(path: Path) -> ModelFile:
    """Read the model at `path`, with any dtypes.

    Raises `ModelError`, which names the file, when it is missing, not a file, not a TFLite model,
    or visibly damaged (a flipped bit in a weight is not visible).
    """
    return _described(read_graph(path))


def _described(graph: FileGraph) -> ModelFile:
    return ModelFile(
        sha256=hashlib.sha256(graph.data).hexdigest(),
        size_bytes=len(graph.data),
        inputs=tuple(graph.tensors[i] for i in graph.inputs),
        outputs=tuple(graph.tensors[i] for i in graph.outputs),
        operators=tuple(node.info for node in graph.operators),
        tensors=graph.tensors,
    )


def load_quantised(path: Path) -> ModelFile:
    """Read a user's model, and check that the bench can compile, run and judge it.

    Inputs must be int8, uint8 or int16 with one scale; outputs may also be an integer count. Every
    input and output has a leading batch dimension of 1. A dynamic batch dimension counts as 1, as
    in Vela and TFLite-Micro; any other dynamic dimension is refused.

    Raises `ModelError`, which names the file, the tensor and the cure.
    """
    return _checked(inspect(path), path)


def check_quantised(data: bytes, path: Path) -> ModelFile:
    """Like `load_quantised`, for the content of a file; an error names `path`."""
    return _checked(_described(graph_of(data, path)), path)


def _checked(model: ModelFile, path: Path) -> ModelFile:
    if model.is_vela_output:
        raise ModelError(
            f"{path} has been compiled by Vela already (it holds an ethos-u operator)",
            cure="give the quantised model from before Vela; the bench compiles it itself",
        )
    if not model.operators or not model.inputs or not model.outputs:
        raise ModelError(
            f"{path} has {len(model.operators)} operators, {len(model.inputs)} inputs and "
            f"{len(model.outputs)} outputs: nothing can be measured",
            cure="convert the model again",
        )
    floats = [tensor for tensor in (*model.inputs, *model.outputs) if "float" in tensor.dtype]
    if floats:
        raise _float_error(path, model, floats)
    for tensor in model.inputs:
        _check_interface(path, "input", tensor, QUANTISED_DTYPES)
    for tensor in model.outputs:
        _check_interface(path, "output", tensor, _OUTPUT_DTYPES)
    return model


def _float_error(path: Path, model: ModelFile, floats: list[TensorInfo]) -> ModelError:
    """Nothing but QUANTIZE and DEQUANTIZE at the ends has been cut off before (`float_ends`)."""
    listing = ", ".join(f"{tensor.name} {tensor.dtype}" for tensor in floats)
    quantised = [tensor for tensor in model.tensors if _is_quantised(tensor)]
    if any(tensor.constant_bytes == 0 for tensor in quantised):
        return ModelError(
            f"{path} is quantised inside, but operators at its ends compute with floats; {listing}",
            cure="convert it with inference_input_type and inference_output_type int8",
        )
    if quantised:
        return ModelError(
            f"{path} has quantised weights, but computes with floats (dynamic-range "
            f"quantisation); {listing}",
            cure="give the converter a representative_dataset: an NPU needs quantised feature maps",
        )
    return ModelError(
        f"{path} is a float model; {listing}",
        cure="quantise it to int8 (full-integer post-training quantisation)",
    )


def _is_quantised(tensor: TensorInfo) -> bool:
    return tensor.dtype in QUANTISED_DTYPES and bool(tensor.scales)


def _check_interface(path: Path, role: str, tensor: TensorInfo, dtypes: tuple[str, ...]) -> None:
    where = f"{path}: {role} {tensor.name!r}"
    if tensor.dtype not in dtypes:
        raise ModelError(
            f"{where} has dtype {tensor.dtype}, not one of {', '.join(dtypes)}",
            cure="quantise the model to int8",
        )
    if any(size < 0 for size in tensor.shape_signature[1:]):
        raise ModelError(
            f"{where} has a dynamic shape {list(tensor.shape_signature)}",
            cure="convert the model with a fixed input shape",
        )
    if not tensor.shape or tensor.shape[0] != 1 or min(tensor.shape) < 1:
        raise ModelError(
            f"{where} has shape {list(tensor.shape)}; the batch dimension must come first and be 1",
            cure="convert the model with a fixed batch of 1",
        )
    if tensor.dtype in QUANTISED_DTYPES:
        bounds = np.iinfo(tensor.dtype)
        if (
            len(tensor.scales) != 1
            or len(tensor.zero_points) != 1
            or not (math.isfinite(tensor.scales[0]) and tensor.scales[0] > 0)
            or not bounds.min <= tensor.zero_points[0] <= bounds.max
        ):
            raise ModelError(
                f"{where} ({tensor.dtype}) has no usable quantisation: "
                f"scale {list(tensor.scales)}, zero point {list(tensor.zero_points)}",
                cure="convert the model with full-integer quantisation",
            )
