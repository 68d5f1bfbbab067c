"""Recurrent layers: TFLite's fused LSTM, and LSTM and GRU unrolled as Keras unrolls them.

The fused operator's 24 inputs and their quantisation: TFLite's specification of
`UnidirectionalSequenceLSTM` (int8 weights and activations, int16 cell state with a power-of-two
scale).
"""

from __future__ import annotations

import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.operators.network import Network, Quantisation, Value
from tests.operators.pointwise import binary, table
from tests.operators.shaping import split, unpack
from tests.operators.weighted import fully_connected

__all__ = ["fused_lstm", "unrolled_gru", "unrolled_lstm"]

_GATES = 4


def fused_lstm(network: Network, value: Value, units: int, *, time_major: bool = False) -> Value:
    """UNIDIRECTIONAL_SEQUENCE_LSTM over `[batch, time, features]`, stateless between inferences
    only if the runner resets its variables.
    """
    features = value.shape[-1]
    batch = value.shape[1 if time_major else 0]
    hidden = Quantisation(1 / 128, 0) if value.dtype == "int8" else Quantisation(1 / 32768)
    cell = Quantisation(2.0**-11)

    def matrix(columns: int) -> Value:
        deviation = 90 / math.sqrt(columns + units)
        data = np.clip(np.round(network.random.normal(0, deviation, (units, columns))), -127, 127)
        return network.constant(data.astype(np.int8), 0.02)

    def gate_bias(index: int) -> Value:
        # Forget gates are biased towards remembering, as Keras does.
        real = network.random.normal(1.0 if index == 1 else 0.0, 0.3, units)
        scale = value.scale * 0.02
        dtype = np.int64 if value.dtype == "int16" else np.int32
        return network.constant(np.round(real / scale).astype(dtype), scale)

    input_weights = [matrix(features) for _ in range(_GATES)]
    recurrent_weights = [matrix(units) for _ in range(_GATES)]
    biases = [gate_bias(index) for index in range(_GATES)]
    inputs: list[Value | None] = [
        value,
        *input_weights,
        *recurrent_weights,
        *(None,) * 3,
        *biases,
        *(None,) * 2,
        network.variable((batch, units), value.dtype, hidden),
        network.variable((batch, units), "int16", cell),
        *(None,) * 4,
    ]
    options = schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = schema.ActivationFunctionType.TANH
    options.cellClip = 10.0
    options.projClip = 0.0
    options.timeMajor = time_major
    return network.apply(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        inputs,
        (*value.shape[:2], units),
        value.dtype,
        hidden,
        options,
        3,
        # Only layer normalisation and projection would read them, but they must be there.
        [
            *(network.intermediate("int16", Quantisation(2.0**-12)) for _ in range(_GATES)),
            network.intermediate(value.dtype, hidden),
        ],
    )


def unrolled_lstm(network: Network, value: Value, units: int) -> Value:
    """A Keras LSTM with `unroll=True` over `[1, time, features]`; the hidden states, packed."""
    hidden = _initial(network, units, Quantisation(1 / 128, 0))
    cell = _initial(network, units, Quantisation(4 / 128, 0))
    outputs = []
    for step in unpack(network, value, 1):
        gates = binary(
            network,
            "ADD",
            fully_connected(network, step, _GATES * units),
            fully_connected(network, hidden, _GATES * units, with_bias=False),
        )
        inner, forget, candidate, outer = split(network, gates, 1, _GATES)
        kept = binary(network, "MUL", table(network, forget, "LOGISTIC"), cell)
        fresh = binary(
            network,
            "MUL",
            table(network, inner, "LOGISTIC"),
            table(network, candidate, "TANH"),
        )
        cell = binary(network, "ADD", kept, fresh)
        hidden = binary(
            network,
            "MUL",
            table(network, outer, "LOGISTIC"),
            table(network, cell, "TANH"),
        )
        outputs.append(hidden)
    return outputs[-1]


def unrolled_gru(network: Network, value: Value, units: int) -> Value:
    """A Keras GRU with `unroll=True` and `reset_after=True`; the last hidden state."""
    hidden = _initial(network, units, Quantisation(1 / 128, 0))
    one = network.constant(np.array([[127]], np.int8), 1 / 127)
    for step in unpack(network, value, 1):
        from_input = split(network, fully_connected(network, step, 3 * units), 1, 3)
        from_hidden = split(network, fully_connected(network, hidden, 3 * units), 1, 3)
        update, reset = (
            table(network, binary(network, "ADD", from_input[i], from_hidden[i]), "LOGISTIC")
            for i in range(2)
        )
        recurrent = binary(network, "MUL", reset, from_hidden[2])
        candidate = table(network, binary(network, "ADD", from_input[2], recurrent), "TANH")
        hidden = binary(
            network,
            "ADD",
            binary(network, "MUL", update, hidden),
            binary(network, "MUL", binary(network, "SUB", one, update), candidate),
        )
    return hidden


def _initial(network: Network, units: int, quantisation: Quantisation) -> Value:
    zeros = np.full((1, units), quantisation.zero_point, np.int8)
    return network.constant(zeros, quantisation.scale, quantisation.zero_point)
