"""A network of dense layers with given int8 weights, as a `.tflite` file.

The rows of `mnist_fc` are compared at equal encoded size, so the weights must reach Vela exactly as
they were drawn, without training and without a converter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

__all__ = ["dense_network"]

_WEIGHT_SCALE = 0.01
#: An image's bytes as fractions of one.
_INPUT_SCALE = 1 / 255
#: The output range of an int8 softmax, from TFLite's quantisation specification.
_SOFTMAX_SCALE = 1 / 256
_LOWEST = -128

Weights = npt.NDArray[np.int8]


def dense_network(layers: Sequence[Weights]) -> bytes:
    """FULLY_CONNECTED for each of `layers` (`[outputs, inputs]`), ReLU between, softmax at the end.

    Activations are scaled so that random inputs spread over the int8 range.
    """
    network = _Network()
    current = network.activation("input", layers[0].shape[1], _INPUT_SCALE, _LOWEST)
    scale = _INPUT_SCALE
    for number, weights in enumerate(layers):
        last = weights is layers[-1]
        current, scale = network.dense(f"dense_{number}", weights, current, scale, relu=not last)
    return network.finish(network.softmax(current, layers[-1].shape[0]))


@dataclass
class _Network:
    """A model under construction; tensors are identified by their index."""

    tensors: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=lambda: [schema.BufferT()])
    codes: list[Any] = field(default_factory=list)
    operators: list[Any] = field(default_factory=list)

    def activation(self, name: str, width: int, scale: float, zero_point: int) -> int:
        return self._tensor(name, (1, width), schema.TensorType.INT8, scale, zero_point, 0)

    def dense(
        self, name: str, weights: Weights, source: int, source_scale: float, *, relu: bool
    ) -> tuple[int, float]:
        """Add a layer; returns its output and that output's scale."""
        outputs, inputs = weights.shape
        bias = np.arange(outputs, dtype=np.int32)
        spread = max(1.0, float(np.abs(weights.astype(np.float64)).mean()))
        scale = source_scale * _WEIGHT_SCALE * spread * math.sqrt(inputs)
        kernel = self._constant(f"{name}_weights", weights, schema.TensorType.INT8, _WEIGHT_SCALE)
        added = self._constant(
            f"{name}_bias", bias, schema.TensorType.INT32, source_scale * _WEIGHT_SCALE
        )
        result = self.activation(name, outputs, scale, _LOWEST if relu else 0)
        options = schema.FullyConnectedOptionsT()
        if relu:
            options.fusedActivationFunction = schema.ActivationFunctionType.RELU
        self._operator("FULLY_CONNECTED", 4, (source, kernel, added), result, options)
        return result, scale

    def softmax(self, source: int, width: int) -> int:
        result = self.activation("output", width, _SOFTMAX_SCALE, _LOWEST)
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        self._operator("SOFTMAX", 2, (source,), result, options)
        return result

    def finish(self, output: int) -> bytes:
        """The file; the first tensor is its input."""
        graph = schema.SubGraphT()
        graph.name = b"dense"
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = [0], [output]
        model = schema.ModelT()
        model.version = 3
        model.description = b"dense layers with synthetic weights"
        model.buffers, model.operatorCodes, model.subgraphs = self.buffers, self.codes, [graph]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _constant(self, name: str, data: npt.NDArray[Any], kind: int, scale: float) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data.tobytes(), np.uint8)
        self.buffers.append(buffer)
        return self._tensor(name, data.shape, kind, scale, 0, len(self.buffers) - 1)

    def _tensor(
        self, name: str, shape: tuple[int, ...], kind: int, scale: float, zero: int, buffer: int
    ) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name.encode(), list(shape), kind
        tensor.buffer = buffer
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero]
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _operator(
        self, name: str, version: int, inputs: tuple[int, ...], output: int, options: Any
    ) -> None:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        code.version = version
        self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.codes) - 1
        operator.inputs, operator.outputs = list(inputs), [output]
        operator.builtinOptionsType = getattr(
            schema.BuiltinOptions, type(options).__name__.removesuffix("T")
        )
        operator.builtinOptions = options
        self.operators.append(operator)
