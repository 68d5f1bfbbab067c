"""Models that end the interpreter that runs them, and models of which it knows too little."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.models.tflite_factory import (
    Op,
    Subgraph,
    Tensor,
    model_bytes,
    single_operator,
)

__all__ = [
    "convolved_in_space",
    "endless",
    "gelu",
    "lost_bias",
    "most_likely",
    "softmax_of_nothing",
    "tile",
    "unsigned",
]


def softmax_of_nothing() -> bytes:
    """TFLite-Micro ends with SIGABRT: SOFTMAX with beta 0, after a harmless RELU."""
    options = schema.SoftmaxOptionsT()
    options.beta = 0.0
    tensors = [
        Tensor("x", (1, 8), scale=0.5),
        Tensor("positive", (1, 8), scale=0.5),
        Tensor("y", (1, 8), scale=1 / 256, zero_point=-128),
    ]
    operators = [Op("RELU", (0,), (1,)), Op("SOFTMAX", (1,), (2,), options, version=2)]
    return model_bytes(tensors, operators, [0], [2])


def lost_bias() -> bytes:
    """TFLite-Micro ends with SIGSEGV: DEPTHWISE_CONV_2D whose bias is left out."""
    options = schema.DepthwiseConv2DOptionsT()
    options.strideH = options.strideW = 1
    options.dilationHFactor = options.dilationWFactor = 1
    options.depthMultiplier = 2
    weights = np.ones((1, 1, 1, 4), np.int8)
    inputs = [
        Tensor("x", (1, 2, 2, 2), scale=0.5),
        Tensor("weights", weights.shape, scale=(0.01,) * 4, data=weights, channel_axis=3),
    ]
    operator = Op("DEPTHWISE_CONV_2D", (0, 1, -1), (2,), options, version=3)
    return single_operator(operator, inputs, [Tensor("y", (1, 2, 2, 4), scale=0.5)])


def endless() -> bytes:
    """FULLY_CONNECTED, then a WHILE whose condition always holds."""
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    weights = np.random.default_rng(9).integers(-127, 128, (4, 4)).astype(np.int8)
    tensors = [
        Tensor("x", (1, 4), scale=0.5),
        Tensor("weights", weights.shape, scale=0.01, data=weights),
        Tensor("bias", (4,), "int32", 0.005, data=np.arange(4, dtype=np.int32)),
        Tensor("begin", (1, 4), scale=0.5),
        Tensor("end", (1, 4), scale=0.5),
    ]
    operators = [
        Op("FULLY_CONNECTED", (0, 1, 2), (3,), schema.FullyConnectedOptionsT(), version=4),
        Op("WHILE", (3,), (4,), options),
    ]
    before, after = tensors[-2:]
    holds = Tensor("holds", (1,), "bool", data=np.array([True]))
    condition: Subgraph = ([before, holds], [], [0], [1])
    body: Subgraph = ([before, after], [Op("RELU", (0,), (1,))], [0], [1])
    return model_bytes(tensors, operators, [0], [4], called=[condition, body])


def tile(side: int) -> bytes:
    """A few hundred bytes with an output of `side` x `side` x 4. TFLite-Micro has no TILE."""
    copies = np.array([1, side // 4, side // 4, 1], np.int32)
    inputs = [Tensor("x", (1, 4, 4, 4), scale=0.5), Tensor("copies", (4,), "int32", data=copies)]
    outputs = [Tensor("y", (1, side, side, 4), scale=0.5)]
    return single_operator(Op("TILE", (0, 1), (2,), schema.TileOptionsT()), inputs, outputs)


def most_likely(number: str = "int64") -> bytes:
    """FULLY_CONNECTED, then ARG_MAX to `number`; TFLite-Micro's gives int32 alone."""
    weights = np.random.default_rng(5).integers(-127, 128, (10, 16)).astype(np.int8)
    options = schema.ArgMaxOptionsT()
    options.outputType = {"int32": schema.TensorType.INT32, "int64": schema.TensorType.INT64}[
        number
    ]
    tensors = [
        Tensor("x", (1, 16), scale=0.5, zero_point=-3),
        Tensor("weights", weights.shape, scale=0.01, data=weights),
        Tensor("bias", (10,), "int32", 0.005, data=np.arange(10, dtype=np.int32)),
        Tensor("scores", (1, 10), scale=1.5, zero_point=4),
        Tensor("axis", (1,), "int32", data=np.array([1], np.int32)),
        Tensor("y", (1,), number),
    ]
    operators = [
        Op("FULLY_CONNECTED", (0, 1, 2), (3,), schema.FullyConnectedOptionsT(), version=4),
        Op("ARG_MAX", (3, 4), (5,), options),
    ]
    return model_bytes(tensors, operators, [0], [5])


def gelu() -> bytes:
    """FULLY_CONNECTED, then GELU, which TFLite-Micro does not have."""
    weights = np.random.default_rng(6).integers(-127, 128, (8, 16)).astype(np.int8)
    tensors = [
        Tensor("x", (1, 16), scale=0.1, zero_point=-3),
        Tensor("weights", weights.shape, scale=0.01, data=weights),
        Tensor("bias", (8,), "int32", 0.001, data=np.arange(8, dtype=np.int32)),
        Tensor("wide", (1, 8), scale=0.05, zero_point=4),
        Tensor("y", (1, 8), scale=0.05, zero_point=-100),
    ]
    operators = [
        Op("FULLY_CONNECTED", (0, 1, 2), (3,), schema.FullyConnectedOptionsT(), version=4),
        Op("GELU", (3,), (4,), schema.GeluOptionsT()),
    ]
    return model_bytes(tensors, operators, [0], [4])


def unsigned() -> bytes:
    """CONV_2D of uint8, for which TFLite-Micro has no kernel."""
    generator = np.random.default_rng(7)
    weights = generator.integers(0, 256, (4, 1, 1, 8)).astype(np.uint8)
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = 1
    options.dilationHFactor = options.dilationWFactor = 1
    inputs = [
        Tensor("x", (1, 8, 8, 8), "uint8", 0.05, 128),
        Tensor("weights", weights.shape, "uint8", 0.01, 120, weights),
        Tensor("bias", (4,), "int32", 0.0005, data=np.arange(4, dtype=np.int32)),
    ]
    outputs = [Tensor("y", (1, 8, 8, 4), "uint8", 0.05, 100)]
    return single_operator(Op("CONV_2D", (0, 1, 2), (3,), options), inputs, outputs)


def convolved_in_space() -> bytes:
    """FULLY_CONNECTED, then a CONV_3D of int8, which Vela leaves to the CPU and nobody runs."""
    options = schema.Conv3DOptionsT()
    options.strideD = options.strideH = options.strideW = 1
    options.dilationDFactor = options.dilationHFactor = options.dilationWFactor = 1
    square = np.random.default_rng(8).integers(-127, 128, (16, 16)).astype(np.int8)
    space = (1, 1, 2, 2, 4)
    tensors = [
        Tensor("x", (1, 16), scale=0.05),
        Tensor("weights", square.shape, scale=0.01, data=square),
        Tensor("bias", (16,), "int32", 0.0005, data=np.zeros(16, np.int32)),
        Tensor("flat", (1, 16), scale=0.05),
        Tensor("shape", (5,), "int32", data=np.array(space, np.int32)),
        Tensor("solid", space, scale=0.05),
        Tensor("filter", (1, 1, 1, 4, 4), scale=0.01, data=np.ones((1, 1, 1, 4, 4), np.int8)),
        Tensor("y", space, scale=0.05),
    ]
    operators = [
        Op("FULLY_CONNECTED", (0, 1, 2), (3,), schema.FullyConnectedOptionsT(), version=4),
        Op("RESHAPE", (3, 4), (5,)),
        Op("CONV_3D", (5, 6), (7,), options),
    ]
    return model_bytes(tensors, operators, [0], [7])
