"""Layers that remember the last inferences, as streaming networks have them.

SVDF (`tensorflow/lite/kernels/svdf.cc`) keeps its memory in a variable tensor. What Keras exports
keeps it in a resource variable: the last steps of its input, to which the new one is appended.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.operators.network import Network, Quantisation, Value
from tests.operators.shaping import concatenate, strided_slice

__all__ = ["running_window", "svdf"]


def svdf(network: Network, value: Value, units: int, memory: int, rank: int = 1) -> Value:
    """SVDF over `[1, features]`: `units` of `rank` filters each, over the last `memory` steps."""
    filters = units * rank
    state = Quantisation(16 / 32768)
    output = Quantisation(0.03, 4)
    features = np.clip(network.random.normal(0, 40, (filters, value.shape[1])), -127, 127)
    times = np.clip(network.random.normal(0, 9000, (filters, memory)), -32767, 32767)
    bias = network.random.integers(-2000, 2000, units).astype(np.int32)
    options = schema.SVDFOptionsT()
    options.rank = rank
    options.fusedActivationFunction = schema.ActivationFunctionType.RELU
    return network.apply(
        "SVDF",
        [
            value,
            network.constant(np.round(features).astype(np.int8), 0.01),
            network.constant(np.round(times).astype(np.int16), 1 / 32768),
            network.constant(bias, state.scale / 32768),
            network.variable((1, memory * filters), "int16", state),
        ],
        (1, units),
        "int8",
        output,
        options,
        3,
    )


def running_window(network: Network, value: Value, steps: int, start: int | None = None) -> Value:
    """The last `steps` of a `[1, 1, 1, channels]`, with the new one: `[1, steps + 1, 1, channels]`.

    It starts at `start`; None is real 0, as Keras has it.
    """
    shape = (1, steps, 1, value.shape[-1])
    zero = value.zero_point if start is None else start
    handle = network.resource(np.full(shape, zero, value.dtype))
    like = Value(-1, shape, value.dtype, value.quantisation)
    window = concatenate(network, [network.read_resource(handle, like), value], 1)
    kept = strided_slice(network, window, (0, 1, 0, 0), window.shape, (1, 1, 1, 1))
    network.assign_resource(handle, kept)
    return window
