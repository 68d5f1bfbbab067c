"""Operators that work element by element, and softmax.

Output quantisations that TFLite's kernels prescribe (sigmoid, tanh, softmax) are written as
prescribed; all others are chosen so that random inputs fill the output's range.
"""

from __future__ import annotations

import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.operators.network import RANGES, Network, Quantisation, Value
from tests.operators.weighted import activation_code, output_quantisation

__all__ = [
    "binary",
    "constant_like",
    "leaky_relu",
    "prelu",
    "requantise",
    "softmax",
    "table",
    "unary",
]

#: Output quantisation that the kernels demand, by operator and type.
_PRESCRIBED = {
    ("LOGISTIC", "int8"): Quantisation(1 / 256, -128),
    ("LOGISTIC", "int16"): Quantisation(1 / 32768),
    ("TANH", "int8"): Quantisation(1 / 128),
    ("TANH", "int16"): Quantisation(1 / 32768),
    ("SOFTMAX", "int8"): Quantisation(1 / 256, -128),
    ("SOFTMAX", "int16"): Quantisation(1 / 32768),
    ("LOG_SOFTMAX", "int8"): Quantisation(16 / 256, 127),
}

_BINARY_OPTIONS = {
    "ADD": schema.AddOptionsT,
    "SUB": schema.SubOptionsT,
    "MUL": schema.MulOptionsT,
    "MINIMUM": schema.MaximumMinimumOptionsT,
    "MAXIMUM": schema.MaximumMinimumOptionsT,
    "SQUARED_DIFFERENCE": schema.SquaredDifferenceOptionsT,
}

_FUSES = ("ADD", "SUB", "MUL")


def constant_like(
    network: Network, value: Value, shape: tuple[int, ...], *, same_scale: bool = False
) -> Value:
    """A random constant of the value's type, quantised as the value or a little differently."""
    low, high = RANGES[value.dtype]
    data = network.random.integers(low, high, shape, endpoint=True).astype(value.dtype)
    if same_scale:
        return network.constant(data, value.scale, value.zero_point)
    zero_point = 0 if value.dtype in ("int16", "int32") else low + 128 - 11
    return network.constant(data, value.scale * 0.7, zero_point)


def binary(
    network: Network,
    builtin: str,
    a: Value,
    b: Value,
    *,
    activation: str | None = None,
    scale_factor: float = 1.0,
) -> Value:
    """ADD, SUB, MUL, MINIMUM, MAXIMUM or SQUARED_DIFFERENCE with NumPy's broadcasting.

    MINIMUM and MAXIMUM give the first operand's quantisation, which the second must share.
    """
    shape = np.broadcast_shapes(a.shape, b.shape)
    options = _BINARY_OPTIONS[builtin]()
    if builtin in _FUSES:
        options.fusedActivationFunction = activation_code(activation)
    if builtin in ("MINIMUM", "MAXIMUM"):
        quantisation = a.quantisation
    else:
        rms = {
            "ADD": math.hypot(a.rms, b.rms),
            "SUB": math.hypot(a.rms, b.rms),
            "MUL": a.rms * b.rms,
            "SQUARED_DIFFERENCE": a.rms**2 + b.rms**2,
        }[builtin]
        scale = a.scale_for(rms) * scale_factor
        if (builtin, a.dtype) == ("MUL", "int8"):
            scale = _agreed(a.scale, b.scale, scale)
        squares = builtin == "SQUARED_DIFFERENCE"
        quantisation = output_quantisation(a.dtype, scale, "RELU" if squares else activation)
    return network.apply(builtin, [a, b], shape, a.dtype, quantisation, options, 2)


def _agreed(a: float, b: float, result: float) -> float:
    """An output scale near `result` with which float32 and double give one multiplier, of 31 bits.

    Vela and LiteRT compute `a * b / result` in float32, TFLite-Micro in double: a product near a
    tie may be rounded either way (test_deviations.py).
    """
    product, exact = np.float32(a) * np.float32(b), float(np.float32(a)) * float(np.float32(b))
    scales = np.float32(result) * (1 + np.arange(2**15, dtype=np.float32) * np.float32(2**-14))
    difference = np.abs((product / scales).astype(float) / (exact / scales.astype(float)) - 1)
    # At most one in the last place, with which a product would have to be a tie to 1e-7. The last
    # resort, for one in 20,000, is the best there is.
    agreed = np.flatnonzero(difference < 2**-31)
    return float(scales[agreed[0] if len(agreed) else np.argmin(difference)])


def unary(
    network: Network,
    value: Value,
    builtin: str,
    *,
    quantisation: Quantisation | None = None,
    version: int = 1,
) -> Value:
    """RELU, RELU6, HARD_SWISH, ABS, NEG and their like; quantised as the input by default."""
    options = {
        "ABS": schema.AbsOptionsT,
        "NEG": schema.NegOptionsT,
        "EXP": schema.ExpOptionsT,
        "HARD_SWISH": schema.HardSwishOptionsT,
    }.get(builtin)
    return network.apply(
        builtin,
        [value],
        value.shape,
        value.dtype,
        quantisation or value.quantisation,
        None if options is None else options(),
        version,
    )


def table(network: Network, value: Value, builtin: str) -> Value:
    """LOGISTIC or TANH with the output scale TFLite prescribes."""
    return network.apply(
        builtin,
        [value],
        value.shape,
        value.dtype,
        _PRESCRIBED[builtin, value.dtype],
        None,
        2,
    )


def softmax(network: Network, value: Value, *, beta: float = 1.0, logarithm: bool = False) -> Value:
    """SOFTMAX over the last dimension, or LOG_SOFTMAX."""
    if logarithm:
        builtin, options = "LOG_SOFTMAX", schema.LogSoftmaxOptionsT()
    else:
        builtin, options = "SOFTMAX", schema.SoftmaxOptionsT()
        options.beta = beta
    quantisation = _PRESCRIBED[builtin, value.dtype]
    return network.apply(builtin, [value], value.shape, value.dtype, quantisation, options, 2)


def leaky_relu(
    network: Network, value: Value, alpha: float, *, quantisation: Quantisation | None = None
) -> Value:
    """LEAKY_RELU, quantised as the input by default."""
    options = schema.LeakyReluOptionsT()
    options.alpha = alpha
    return network.apply(
        "LEAKY_RELU",
        [value],
        value.shape,
        value.dtype,
        quantisation or value.quantisation,
        options,
        2,
    )


def prelu(network: Network, value: Value, *, negative: bool = False) -> Value:
    """PRELU with one slope a channel; slopes below 1, some negative if asked."""
    channels = value.shape[-1]
    low = -128 if negative else 0
    data = network.random.integers(low, 127, (1,) * (len(value.shape) - 2) + (channels,))
    alpha = network.constant(data.astype(value.dtype), 0.0071)
    return network.apply(
        "PRELU", [value, alpha], value.shape, value.dtype, value.quantisation, None, 1
    )


def requantise(network: Network, value: Value, dtype: str, quantisation: Quantisation) -> Value:
    """QUANTIZE from one integer quantisation to another."""
    options = schema.QuantizeOptionsT()
    return network.apply("QUANTIZE", [value], value.shape, dtype, quantisation, options, 2)
