"""The reference interpreters: what a quantised model must answer, computed on this machine.

`run_tflm` (TFLite-Micro) is the oracle for bit-exactness: its kernels round twice, as the
compiled stream does. `run_litert` rounds once in some kernels, so that single elements differ
by one; it is meant for accuracy over many inputs.

Both packages are imported only when their function is called. TFLite-Micro does not verify a
model and can take the process down with a damaged one; `inspect`, which runs first, catches what
reading the structure can catch, and not a damaged operator option.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path

import numpy as np

from bench.core.arrays import Array
from bench.core.errors import ModelError, PrerequisiteError
from bench.tflite.model_file import QUANTISED_DTYPES, ModelFile, TensorInfo, inspect

__all__ = ["Kernels", "random_inputs", "run_litert", "run_tflm"]


#: TFLite-Micro's arena in bytes. Only the pages a model touches are ever real memory, so the
#: generous size costs nothing and no model has to be tried twice.
TFLM_ARENA_BYTES = 256 * 2**20

#: One row of inputs -> its outputs, by a started interpreter.
Infer = Callable[[Sequence[Array]], list[Array]]

# What the interpreters raise when they refuse a model or input.
_REFUSALS = (RuntimeError, ValueError, IndexError, TypeError, AttributeError, struct.error)


class Kernels(str, Enum):
    """Which of LiteRT's kernels run."""

    #: The plain C++ kernels, equal on every machine.
    REFERENCE = "reference"
    #: What LiteRT chooses on this machine (XNNPACK): some 50 times faster, less exact.
    DEFAULT = "default"


def run_tflm(path: Path, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """Run the model at `path` in TFLite-Micro, one row after another.

    `inputs` has one array for each model input, `[n, ...]` in the model's own shape and
    dtype; so have the outputs. A model that keeps state (variables) gets a new interpreter for
    every row: a row's answer does not depend on the rows before it.

    Raises `ModelError` when the file is damaged, the inputs do not fit, or TFLite-Micro
    refuses the model (an operator it does not have, such as Vela's); `PrerequisiteError`
    when the package is not installed.
    """
    model = inspect(path)
    rows = _check_inputs(path, model, inputs)
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError as error:
        raise PrerequisiteError(
            f"TFLite-Micro cannot be imported: {error}", cure="pip install --pre tflite-micro"
        ) from error
    try:

        def start() -> Infer:
            interpreter = runtime.Interpreter.from_file(str(path), arena_size=TFLM_ARENA_BYTES)

            def infer(row: Sequence[Array]) -> list[Array]:
                for index, value in enumerate(row):
                    interpreter.set_input(value, index)
                interpreter.invoke()
                return [interpreter.get_output(index) for index in range(len(model.outputs))]

            return infer

        return _run_rows(model, inputs, rows, start)
    except _REFUSALS as error:
        raise ModelError(
            f"TFLite-Micro cannot run {path}: {error}",
            cure="its own words above (on stderr) name the operator; models with custom "
            "operators, Vela's among them, cannot be run here",
        ) from error


def run_litert(
    path: Path, inputs: Sequence[Array], kernels: Kernels = Kernels.REFERENCE
) -> tuple[Array, ...]:
    """Run the model at `path` in LiteRT on one thread, one row after another.

    Shapes, dtypes, state and errors as in `run_tflm`.
    """
    model = inspect(path)
    rows = _check_inputs(path, model, inputs)
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError as error:
        raise PrerequisiteError(
            f"LiteRT cannot be imported: {error}", cure="pip install ai-edge-litert"
        ) from error
    resolver = {
        Kernels.REFERENCE: OpResolverType.BUILTIN_REF,
        Kernels.DEFAULT: OpResolverType.BUILTIN,
    }[kernels]
    try:

        def start() -> Infer:
            interpreter = Interpreter(
                model_path=str(path), num_threads=1, experimental_op_resolver_type=resolver
            )
            interpreter.allocate_tensors()
            input_ids = [detail["index"] for detail in interpreter.get_input_details()]
            output_ids = [detail["index"] for detail in interpreter.get_output_details()]

            def infer(row: Sequence[Array]) -> list[Array]:
                for index, value in zip(input_ids, row, strict=True):
                    interpreter.set_tensor(index, value)
                interpreter.invoke()
                return [interpreter.get_tensor(index) for index in output_ids]

            return infer

        return _run_rows(model, inputs, rows, start)
    except _REFUSALS as error:
        raise ModelError(
            f"LiteRT cannot run {path}: {error}", cure="convert the model again"
        ) from error


def random_inputs(model: ModelFile, n: int, seed: int) -> tuple[Array, ...]:
    """`n` inputs for `model`, uniform over the whole range of each input's dtype.

    One array `[n, ...]` for each model input. Taken from the raw PCG64 stream, which NumPy
    promises to keep (it does not for `Generator.integers`), so the same `seed` gives the
    same inputs for good. Raises `ModelError` for an input that is not int8, uint8 or int16.
    """
    stream = np.random.PCG64(seed)
    arrays = []
    for tensor in model.inputs:
        if tensor.dtype not in QUANTISED_DTYPES:
            raise ModelError(
                f"input {tensor.name!r} has dtype {tensor.dtype}; random inputs are defined "
                f"for {', '.join(QUANTISED_DTYPES)}",
                cure="quantise the model to int8",
            )
        dtype = np.dtype(tensor.dtype).newbyteorder("<")
        shape = (n, *tensor.shape[1:])
        count = math.prod(shape)
        words = stream.random_raw(-(-count * dtype.itemsize // 8)).astype("<u8")
        values = words.view(dtype)[:count].reshape(shape)
        arrays.append(values.astype(tensor.dtype))
    return tuple(arrays)


def _run_rows(
    model: ModelFile,
    inputs: Sequence[Array],
    rows: int,
    start: Callable[[], Infer],
) -> tuple[Array, ...]:
    outputs = [
        np.empty((rows, *_row_shape(tensor)), np.dtype(tensor.dtype)) for tensor in model.outputs
    ]
    infer = start()
    for row in range(rows):
        if model.has_state and row:
            # Neither interpreter's own reset brings back what CALL_ONCE has initialised.
            infer = start()
        answers = infer([np.ascontiguousarray(array[row : row + 1]) for array in inputs])
        for output, answer in zip(outputs, answers, strict=True):
            output[row] = answer.reshape(output.shape[1:])
    return tuple(outputs)


def _row_shape(tensor: TensorInfo) -> tuple[int, ...]:
    return tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape


def _check_inputs(path: Path, model: ModelFile, inputs: Sequence[Array]) -> int:
    """The number of rows. Raises `ModelError` where inputs do not fit the model."""
    cure = "give one array [n, ...] for each model input, in the model's own dtype"
    if len(inputs) != len(model.inputs):
        raise ModelError(
            f"{path} has {len(model.inputs)} inputs, {len(inputs)} were given", cure=cure
        )
    for tensor, array in zip(model.inputs, inputs, strict=True):
        if array.dtype.name != tensor.dtype or array.shape[1:] != tensor.shape[1:]:
            raise ModelError(
                f"{path}: input {tensor.name!r} takes {tensor.dtype} "
                f"[n, {', '.join(map(str, tensor.shape[1:]))}], "
                f"given {array.dtype.name} {list(array.shape)}",
                cure=cure,
            )
    counts = {len(array) for array in inputs}
    if len(counts) != 1 or counts == {0}:
        raise ModelError(
            f"{path}: the inputs have {sorted(counts)} rows; one number above 0 is wanted",
            cure=cure,
        )
    return counts.pop()
