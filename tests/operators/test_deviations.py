"""Where the simulator's outputs differ from TFLite-Micro's, and that it is not its doing.

Each entry of the table in `docs/simulator.md`: what Vela's stream holds gives exactly the
simulator's answer, what TFLite-Micro computes with gives exactly TFLite-Micro's (or its kernel does
not give the nearest integer), and the two are never more than one apart. 16-bit softmax:
`test_softmax16.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from bench.core.arrays import Array
from bench.tflite.model_file import TensorInfo, inspect
from targets.artefact import FlashRegion, load_artefact
from targets.artefact.stream.operations import Conv, Rounding
from targets.ethos_u55.weights import SCALE_BYTES
from targets.simulator.execution.arithmetic import scale
from targets.simulator.simulator import Simulator
from targets.simulator.weights.decoding import decode_scales
from tests.operators.case import ROWS, Case, inputs_for, single_input
from tests.operators.network import Network, Quantisation, Value
from tests.operators.pointwise import binary, leaky_relu, table, unary
from tests.operators.reducing import reduce_
from tests.operators.toolchain import CONFIGURATIONS, build

Function = Callable[[Array], Array]

EVERY_BYTE = np.arange(-128, 128).astype(np.int8)


def answers(case: Case, directory: Path, inputs: tuple[Array, ...] = ()) -> tuple[Array, Array]:
    """The simulator's and TFLite-Micro's, int64; the model and Vela's output are left behind."""
    model, compiled = directory / "model.tflite", directory / "model_vela.tflite"
    model.write_bytes(case.model())
    inputs = inputs or inputs_for(model, ROWS, 1)
    reference = build(model, inputs, CONFIGURATIONS[2:3])
    compiled.write_bytes(reference.compiled[0])
    (output,), (expected,) = Simulator(compiled).run(inputs).outputs, reference.outputs
    return output.astype(np.int64), expected.astype(np.int64)


def tensors(directory: Path) -> tuple[TensorInfo, TensorInfo]:
    """The model's only input and output."""
    model = inspect(directory / "model.tflite")
    return model.inputs[0], model.outputs[0]


def nearest(values: Array, low: int = -128, high: int = 127) -> Array:
    """Halves away from zero, clamped."""
    rounded = np.copysign(np.floor(np.abs(values) + 0.5), values)
    return np.asarray(np.clip(rounded, low, high).astype(np.int64))


# -- Fully connected, per tensor, and products ----------------------------------------------------

#: So many accumulators, one for each bias.
UNITS = 2048


def scales_that_disagree() -> tuple[float, float, float]:
    """Scales of input, weights and output: the product in float32, over the output's, is 1/8; in
    double it is a little less, so that ties round the other way.
    """
    random = np.random.default_rng(0)
    while True:
        given, weight = (
            np.float32(random.uniform(0.01, 0.02)),
            np.float32(random.uniform(4e-3, 0.01)),
        )
        single = float(given * weight)
        if float(given) * float(weight) < single * (1 - 2**-26):
            return float(given), float(weight), 8 * single


def test_fully_connected_differs_by_the_product_of_two_scales(tmp_path: Path) -> None:
    given, weight, result = scales_that_disagree()
    accumulators = np.arange(UNITS) - UNITS // 2

    def dense(network: Network) -> Value:
        value = network.input((1, 4), scale=given, zero_point=0)
        weights = network.constant(np.ones((UNITS, 4), np.int8), weight)
        bias = network.constant(accumulators.astype(np.int32), given * weight)
        return network.apply(
            "FULLY_CONNECTED",
            [value, weights, bias],
            (1, UNITS),
            "int8",
            Quantisation(result),
            schema.FullyConnectedOptionsT(),
            4,
        )

    got, want = answers(Case("dense/ties", dense), tmp_path, (np.zeros((1, 4), np.int8),))
    np.testing.assert_array_equal(got[0], rescaled(accumulators, 1 / 8))
    np.testing.assert_array_equal(want[0], rescaled(accumulators, given * weight / result))
    assert np.abs(got - want).max() == 1
    # That the eighth is Vela's: it stands in the stream's table of scales.
    (operator,) = load_artefact(tmp_path / "model_vela.tflite").npu_operators
    flash = operator.regions[0]
    assert isinstance(flash, FlashRegion)
    (conv,) = (each for each in operator.operations if isinstance(each, Conv))
    first, channels = conv.scales.address, conv.ofm.depth
    entries = flash.data[first : first + SCALE_BYTES * channels]
    _, multiplier, shift = decode_scales(entries, channels, word=0, operation="CONV")
    assert set((multiplier / np.exp2(shift)).tolist()) == {1 / 8}


def test_a_product_differs_by_the_precision_of_its_multiplier(tmp_path: Path) -> None:
    """In 8 bits, where it is a tie for one of both. Graphs and operators avoid such scales."""
    given, factor, result = scales_that_disagree()

    def product(network: Network) -> Value:
        value = network.input((1, 256), scale=given, zero_point=0)
        one = network.constant(np.ones((1, 256), np.int8), factor)
        options = schema.MulOptionsT()
        return network.apply(
            "MUL", [value, one], (1, 256), "int8", Quantisation(result), options, 2
        )

    got, want = answers(Case("mul/ties", product), tmp_path, (EVERY_BYTE[np.newaxis],))
    values = EVERY_BYTE.astype(np.int64)
    np.testing.assert_array_equal(got[0], rescaled(values, 1 / 8))
    np.testing.assert_array_equal(want[0], rescaled(values, given * factor / result))
    assert np.abs(got - want).max() == 1


def rescaled(accumulators: Array, factor: float, low: int = -128, high: int = 127) -> Array:
    """TensorFlow Lite's fixed point: 31 bits of the factor, two roundings."""
    if not factor:
        return np.zeros_like(accumulators)
    mantissa, exponent = math.frexp(factor)
    multiplier = round(mantissa * 2**31)
    exact = scale(accumulators.astype(np.int64), multiplier, 31 - exponent, Rounding.TFL)
    return np.clip(exact, low, high)


# -- RELU and LEAKY_RELU from one scale to another -----------------------------------------------

#: Output scale over input scale: the multiplier is near a fraction, so that many values are ties.
RATIOS = (3.1111111, 0.8, 0.6666667)

EVERY_VALUE: dict[str, Array] = {
    "int8": EVERY_BYTE[np.newaxis],
    "int16": np.arange(-32768, 32768).astype(np.int16).reshape(1, 64, 1024),
}


def scales_whose_quotients_disagree(ratio: float) -> tuple[np.float32, np.float32]:
    """Scales of input and output: their quotient in float32 is not the one in double."""
    random = np.random.default_rng(0)
    while True:
        given = np.float32(random.uniform(0.01, 0.02))
        result = np.float32(given * np.float32(ratio))
        exact = float(given) / float(result)
        if abs(float(given / result) / exact - 1) > 2**-26:
            return given, result


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("slope", [0.0, 0.1, 0.3])
def test_rectifiers_differ_by_the_precision_of_a_quotient(
    dtype: str, ratio: float, slope: float, tmp_path: Path
) -> None:
    """Vela (and LiteRT: the operator suite) compute `input scale * slope / output scale` in
    float32; TFLite-Micro's outputs are those of the same factors in double.
    """
    given, result = scales_whose_quotients_disagree(ratio)
    to = Quantisation(float(result))
    operate = (
        partial(leaky_relu, alpha=slope, quantisation=to)
        if slope
        else partial(unary, builtin="RELU", quantisation=to)
    )
    values = EVERY_VALUE[dtype]
    case = single_input(
        "rectifier/ties", values.shape, operate, dtype=dtype, scale=float(given), zero_point=0
    )
    got, want = answers(case, tmp_path, (values,))
    alpha = np.float32(slope)
    single = float(given / result), float(given * alpha / result)
    double = float(given) / float(result), float(given) * float(alpha) / float(result)
    np.testing.assert_array_equal(got, rectified(values, *single))
    np.testing.assert_array_equal(want, rectified(values, *double))
    assert np.abs(got - want).max() <= 1


def test_rectifiers_do_differ(tmp_path: Path) -> None:
    """Else the test above would say nothing: every fourth positive value is a tie."""
    given, result = scales_whose_quotients_disagree(0.8)
    operate = partial(unary, builtin="RELU", quantisation=Quantisation(float(result)))
    values = EVERY_VALUE["int16"]
    case = single_input("rectifier/all", values.shape, operate, dtype="int16", scale=float(given))
    got, want = answers(case, tmp_path, (values,))
    assert np.count_nonzero(got != want) > values.size / 100


def rectified(values: Array, positive: float, negative: float) -> Array:
    wide, info = values.astype(np.int64), np.iinfo(values.dtype)
    low, high = int(info.min), int(info.max)
    return np.where(
        wide >= 0, rescaled(wide, positive, low, high), rescaled(wide, negative, low, high)
    )


# -- Tables --------------------------------------------------------------------------------------

#: Quanta: so near to a half lies every value that TFLite-Micro rounds the other way.
TIE = 1e-5


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


@pytest.mark.parametrize("zero_point", [-128, 0, 127])
@pytest.mark.parametrize("scale", [1 / 256, 1 / 64, 1 / 16, 0.3, 0.0157, 0.05])
@pytest.mark.parametrize(
    ("name", "function"), [("LOGISTIC", sigmoid), ("TANH", np.tanh), ("ELU", np.expm1)]
)
def test_tables_hold_the_nearest_integers(
    name: str, function: Function, scale: float, zero_point: int, tmp_path: Path
) -> None:
    """And TFLite-Micro's differ only where the value is a tie but for rounding errors."""
    operate = (
        partial(unary, builtin="ELU", quantisation=Quantisation(0.012, -40))
        if name == "ELU"
        else partial(table, builtin=name)
    )
    case = single_input("table/bytes", (1, 256), operate, scale=scale, zero_point=zero_point)
    got, want = answers(case, tmp_path, (EVERY_BYTE[np.newaxis],))
    given, result = tensors(tmp_path)
    x = (EVERY_BYTE.astype(np.float64) - zero_point) * given.scales[0]
    exact = np.where(x < 0, function(x), x) if name == "ELU" else function(x)
    quanta = exact / result.scales[0]
    np.testing.assert_array_equal(
        got[0], np.clip(np.floor(quanta + 0.5) + result.zero_points[0], -128, 127)
    )
    to_a_tie = np.abs(quanta - np.floor(quanta) - 0.5)
    assert np.all(to_a_tie[(got != want)[0]] < TIE)
    assert np.abs(got - want).max() <= 1


def test_there_is_a_tie(tmp_path: Path) -> None:
    """Else the test above would say nothing."""
    case = single_input(
        "table/tie", (1, 256), partial(table, builtin="LOGISTIC"), scale=1 / 256, zero_point=-128
    )
    got, want = answers(case, tmp_path, (EVERY_BYTE[np.newaxis],))
    assert np.count_nonzero(got != want) == 1


def test_a_wide_step_is_beyond_the_range_of_tflite_micro(tmp_path: Path) -> None:
    """It takes inputs for infinite from `floor(15 / 2 ** ceil(log2(scale)))` steps on: here one."""
    case = single_input(
        "table/wide", (1, 256), partial(table, builtin="LOGISTIC"), scale=4.018, zero_point=5
    )
    got, want = answers(case, tmp_path, (EVERY_BYTE[np.newaxis],))
    differing = dict(
        zip(EVERY_BYTE[(got != want)[0]].tolist(), want[got != want].tolist(), strict=True)
    )
    assert differing == {4: -128, 6: 127}
    assert np.abs(got - want).max() == 5


# -- Sums and products ---------------------------------------------------------------------------


@pytest.mark.parametrize("zero_point", [-128, 0, 50])
@pytest.mark.parametrize("axis", [1, 2, 3])
def test_a_sum_is_the_nearest_integer(axis: int, zero_point: int, tmp_path: Path) -> None:
    """TFLite-Micro's is up to three quarters of a quantum away from the exact value."""
    operate = partial(reduce_, builtin="SUM", axes=(axis,))
    got, want = answers(
        single_input("sum/exact", (1, 8, 9, 20), operate, zero_point=zero_point), tmp_path
    )
    given, result = tensors(tmp_path)
    values = inputs_for(tmp_path / "model.tflite", ROWS, 1)[0].astype(np.int64)
    exact = (values - zero_point).sum(axis=axis, keepdims=True) * given.scales[0]
    quanta = exact / result.scales[0]
    np.testing.assert_array_equal(
        got, np.clip(nearest(quanta, -(2**20), 2**20) + result.zero_points[0], -128, 127)
    )
    assert np.abs(want - np.clip(quanta + result.zero_points[0], -128, 127)).max() <= 0.75
    assert np.abs(got - want).max() == 1


def test_a_product_in_16_bits_is_litert_s(tmp_path: Path) -> None:
    """The operator suite compares it with LiteRT, exactly; this bounds what is left."""
    shape = (1, 16, 15, 20)

    def product(network: Network) -> Value:
        a = network.input(shape, "int16")
        b = network.input(shape, "int16", a.scale * 0.73)
        return binary(network, "MUL", a, b)

    got, want = answers(Case("mul/int16-tflm", product), tmp_path)
    assert np.abs(got - want).max() <= 1
    assert np.count_nonzero(got != want) <= 1e-3 * got.size
