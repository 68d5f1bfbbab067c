"""Small quantised `.tflite` models built from NumPy arrays, without TensorFlow.

A test helper, not a converter: it writes exactly what it is told, so that a test can also ask
for a float interface, a dynamic shape or a tensor name nobody should use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from bench.core.arrays import Array

__all__ = [
    "Op",
    "Subgraph",
    "Tensor",
    "fully_connected",
    "mlp",
    "model_bytes",
    "repacked",
    "single_operator",
]


_TYPE_CODES = {
    "float32": schema.TensorType.FLOAT32,
    "int32": schema.TensorType.INT32,
    "uint8": schema.TensorType.UINT8,
    "int64": schema.TensorType.INT64,
    "bool": schema.TensorType.BOOL,
    "int16": schema.TensorType.INT16,
    "int8": schema.TensorType.INT8,
    "resource": schema.TensorType.RESOURCE,
}

#: Operators that readers refuse without an options table.
_DEFAULT_OPTIONS = {"FULLY_CONNECTED": schema.FullyConnectedOptionsT}


@dataclass(frozen=True)
class Tensor:
    """One tensor. `data` makes it a constant and must have `shape` and `dtype`.

    With `sparsity`, `data` has only the values that are stored, and one dimension.
    A tuple of scales quantises per channel, along `channel_axis`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "int8"
    scale: float | tuple[float, ...] | None = None
    zero_point: int = 0
    data: Array | None = None
    signature: tuple[int, ...] | None = None
    variable: bool = False
    channel_axis: int = 0
    #: A `SparsityParametersT`.
    sparsity: object | None = None


@dataclass(frozen=True)
class Op:
    """One operator: a `BuiltinOperator` name, or `CUSTOM` with `custom`; tensors by index."""

    builtin: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: object | None = None
    custom: str | None = None
    version: int = 1
    #: Tensors that hold only a quantisation (LSTM).
    intermediates: tuple[int, ...] = ()


#: Tensors, operators, inputs, outputs.
Subgraph: TypeAlias = tuple[Sequence[Tensor], Sequence[Op], Sequence[int], Sequence[int]]


def model_bytes(
    tensors: Sequence[Tensor],
    operators: Sequence[Op],
    inputs: Sequence[int],
    outputs: Sequence[int],
    *,
    once: tuple[Sequence[Tensor], Sequence[Op]] | None = None,
    called: Sequence[Subgraph] = (),
) -> bytes:
    """Serialise a model; indices refer to `tensors`.

    `once` adds a second subgraph without inputs and outputs, for a CALL_ONCE of the first;
    `called` adds subgraphs that are given like the first: tensors, operators, inputs, outputs.
    """
    model = schema.ModelT()
    model.version = 3
    model.description = b"made by a test"
    model.buffers = [schema.BufferT()]
    model.operatorCodes = []
    model.subgraphs = [_subgraph(model, tensors, operators, inputs, outputs)]
    if once is not None:
        model.subgraphs.append(_subgraph(model, *once, (), ()))
    model.subgraphs += [_subgraph(model, *graph) for graph in called]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def repacked(data: bytes, change: Callable[[schema.ModelT], None]) -> bytes:
    """The `.tflite` in `data` with a change."""
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    change(model)
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def single_operator(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> bytes:
    """A model of one operator between `inputs` and `outputs` (constants among the inputs)."""
    tensors = [*inputs, *outputs]
    variable_inputs = [i for i, tensor in enumerate(inputs) if tensor.data is None]
    return model_bytes(tensors, [op], variable_inputs, range(len(inputs), len(tensors)))


def fully_connected(
    weights: Array,
    *,
    input_name: str = "input",
    output_name: str = "output",
    scale: float = 0.5,
) -> bytes:
    """One int8 FULLY_CONNECTED: `weights` is `[outputs, inputs]` int8; no activation."""
    return mlp([weights], input_name=input_name, output_name=output_name, input_scale=scale)


def mlp(
    layers: Sequence[Array],
    *,
    input_name: str = "input",
    output_name: str = "output",
    input_scale: float = 1 / 255,
    input_zero_point: int = -128,
    softmax: bool = False,
) -> bytes:
    """A chain of int8 FULLY_CONNECTED layers, per tensor, ReLU between them.

    `layers` are `[outputs, inputs]` int8 weights. Activation scales are chosen so that the
    values of random inputs spread over the int8 range. `softmax` appends a SOFTMAX.
    """
    tensors = [Tensor(input_name, (1, layers[0].shape[1]), "int8", input_scale, input_zero_point)]
    operators: list[Op] = []
    current, in_scale = 0, input_scale
    for index, weights in enumerate(layers):
        last = index == len(layers) - 1
        weight_scale = 0.01
        spread = max(1.0, float(np.abs(weights.astype(np.float64)).mean()))
        out_scale = in_scale * weight_scale * spread * float(np.sqrt(weights.shape[1]))
        first = len(tensors)
        name = output_name if last and not softmax else f"dense_{index}"
        tensors += [
            Tensor(f"weights_{index}", weights.shape, "int8", weight_scale, 0, weights),
            Tensor(
                f"bias_{index}",
                (weights.shape[0],),
                "int32",
                in_scale * weight_scale,
                0,
                np.arange(weights.shape[0], dtype=np.int32),
            ),
            Tensor(name, (1, weights.shape[0]), "int8", out_scale, 0 if last else -128),
        ]
        options = schema.FullyConnectedOptionsT()
        if not last:
            options.fusedActivationFunction = schema.ActivationFunctionType.RELU
        operators.append(
            Op("FULLY_CONNECTED", (current, first, first + 1), (first + 2,), options, version=4)
        )
        current, in_scale = first + 2, out_scale
    if softmax:
        beta = schema.SoftmaxOptionsT()
        beta.beta = 1.0
        tensors.append(Tensor(output_name, (1, layers[-1].shape[0]), "int8", 1 / 256, -128))
        operators.append(Op("SOFTMAX", (current,), (len(tensors) - 1,), beta, version=2))
        current = len(tensors) - 1
    return model_bytes(tensors, operators, [0], [current])


def _subgraph(
    model: Any,
    tensors: Sequence[Tensor],
    operators: Sequence[Op],
    inputs: Sequence[int],
    outputs: Sequence[int],
) -> Any:
    graph = schema.SubGraphT()
    graph.name = b"subgraph"
    graph.tensors = [_tensor(spec, model.buffers) for spec in tensors]
    graph.inputs = list(inputs)
    graph.outputs = list(outputs)
    first = len(model.operatorCodes)
    model.operatorCodes += [_operator_code(op) for op in operators]
    graph.operators = [_operator(op, first + index) for index, op in enumerate(operators)]
    return graph


def _tensor(spec: Tensor, buffers: list[Any]) -> Any:
    tensor = schema.TensorT()
    # Surrogates let a test write a name that is not valid UTF-8.
    tensor.name = spec.name.encode("utf-8", "surrogateescape")
    tensor.shape = list(spec.shape)
    tensor.type = _TYPE_CODES[spec.dtype]
    tensor.isVariable = spec.variable
    tensor.sparsity = spec.sparsity
    tensor.shapeSignature = None if spec.signature is None else list(spec.signature)
    buffer = schema.BufferT()
    if spec.data is not None:
        whole = spec.sparsity is not None or spec.data.shape == spec.shape
        if not whole or spec.data.dtype.name != spec.dtype:
            raise ValueError(f"constant {spec.name}: {spec.data.shape} {spec.data.dtype}")
        buffer.data = np.frombuffer(np.ascontiguousarray(spec.data).tobytes(), np.uint8)
    buffers.append(buffer)
    tensor.buffer = len(buffers) - 1
    if spec.scale is not None:
        quantisation = schema.QuantizationParametersT()
        scales = spec.scale if isinstance(spec.scale, tuple) else (spec.scale,)
        quantisation.scale = list(scales)
        quantisation.zeroPoint = [spec.zero_point] * len(scales)
        quantisation.quantizedDimension = spec.channel_axis
        tensor.quantization = quantisation
    return tensor


def _operator_code(op: Op) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, op.builtin)
    # The deprecated field is one byte; readers take the larger of the two.
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.customCode = None if op.custom is None else op.custom.encode()
    code.version = op.version
    return code


def _operator(op: Op, index: int) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex = index
    operator.inputs = list(op.inputs)
    operator.outputs = list(op.outputs)
    if op.intermediates:
        operator.intermediates = list(op.intermediates)
    options = op.options
    if options is None and op.builtin in _DEFAULT_OPTIONS:
        options = _DEFAULT_OPTIONS[op.builtin]()
    if options is not None:
        name = type(options).__name__.removesuffix("T")
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        operator.builtinOptions = options
    return operator
