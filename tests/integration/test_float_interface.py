"""A float interface round a quantised model: the same figures and outputs as without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from bench.measuring.quantisation import dequantise
from bench.plan.metrics import MetricName
from bench.records.metric_values import metric_value
from bench.tflite.interpreters import run_litert
from tests.operators.network import Network, Quantisation, Value
from tests.operators.pointwise import binary
from tests.operators.shaping import reshape
from tests.operators.weighted import conv2d, fully_connected
from tests.support.bench_runs import BenchRun, BenchRunner

GRID = """
[grid]
macs = [32, 128]
memory_modes = ["Shared_Sram", "Sram_Only"]
targets = ["sim"]

[workloads]
"""
#: The input's, as TFLite's converter would choose it for values of -1..1.
INPUT = Quantisation(1 / 128, 0)
Body = Callable[[Network, list[Value]], list[Value]]


def classifier(network: Network, inputs: list[Value]) -> list[Value]:
    hidden = conv2d(network, inputs[0], 12, kernel=(3, 3), activation="RELU")
    flat = reshape(network, hidden, (1, int(np.prod(hidden.shape))))
    return [fully_connected(network, flat, 5)]


def siamese(network: Network, inputs: list[Value]) -> list[Value]:
    return [binary(network, "ADD", *(conv2d(network, one, 6) for one in inputs))]


def detector(network: Network, inputs: list[Value]) -> list[Value]:
    hidden = conv2d(network, inputs[0], 8)
    return [conv2d(network, hidden, 4), conv2d(network, hidden, 2, kernel=(1, 1))]


#: Body, number of inputs, and which inputs and outputs are floats.
CASES: dict[str, tuple[Body, int, set[int], set[int]]] = {
    "classifier": (classifier, 1, {0}, {0}),
    "siamese": (siamese, 2, {1}, set()),
    "detector": (detector, 1, set(), {0, 1}),
    "mixed": (detector, 1, {0}, {1}),
}


def model(case: str, *, floats: bool) -> bytes:
    """The model with or without a float interface; the weights are the same."""
    body, count, float_inputs, float_outputs = CASES[case]
    network = Network(7)
    inputs = []
    for index in range(count):
        shape = (1, 8, 8, 3)
        if floats and index in float_inputs:
            real = network.input(shape, "float32")
            options = schema.QuantizeOptionsT()
            inputs.append(network.apply("QUANTIZE", [real], shape, "int8", INPUT, options))
        else:
            inputs.append(network.input(shape, "int8", INPUT.scale, INPUT.zero_point))
    outputs = body(network, inputs)
    if floats:
        for index in float_outputs:
            value, options = outputs[index], schema.DequantizeOptionsT()
            outputs[index] = network.apply(
                "DEQUANTIZE", [value], value.shape, "float32", None, options
            )
    return network.serialise(outputs)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> BenchRun:
    runner = BenchRunner(tmp_path_factory.mktemp("floats"))
    lines = []
    for case, (_, count, _, _) in CASES.items():
        random = np.random.default_rng(3)
        arrays = [random.uniform(-1, 1, (12, 8, 8, 3)).astype(np.float32) for _ in range(count)]
        names = ["inputs"] if count == 1 else [f"inputs_{index}" for index in range(count)]
        given: dict[str, Any] = dict(zip(names, arrays, strict=True))
        np.savez(runner.directory / f"{case}.npz", **given)
        for name, floats in ((f"{case}_floats", True), (case, False)):
            (runner.directory / f"{name}.tflite").write_bytes(model(case, floats=floats))
            lines.append(f'{name} = {{ model = "{name}.tflite", dataset = "{case}.npz" }}')
    return runner.run(runner.write_config(GRID + "\n".join(lines)), "-n", "2")


@pytest.mark.parametrize("case", CASES)
def test_figures_and_outputs_are_those_of_the_model_without_ends(run: BenchRun, case: str) -> None:
    records = run.records()
    compared = 0
    for cell, record in records.items():
        if record.cell.workload != case:
            continue
        other = records[cell.replace(case, f"{case}_floats", 1)]
        assert other.measurement.counters == record.measurement.counters
        assert other.measurement.outputs_sha256 == record.measurement.outputs_sha256
        # Names of tensors are numbers in these models, and there are more in one.
        unnamed = {"layer": "", "tensor": ""}
        assert [row.model_copy(update=unnamed) for row in other.measurement.layers] == [
            row.model_copy(update=unnamed) for row in record.measurement.layers
        ]
        assert other.compilation.report.encoded_weights_bytes > 0
        for figure in MetricName:
            assert metric_value(other, figure) == metric_value(record, figure)
        assert other.reference is not None
        assert other.reference.mismatches == 0
        assert other.compilation.cpu_operators == ()
        assert "float interface is the CPU's work" in other.model.changes[0]
        compared += 1
    assert compared == 4, run.output[-3000:]


def test_the_run_says_it_once_for_each_model(run: BenchRun) -> None:
    assert run.output.count("classifier_floats.tflite is changed before it is compiled") == 1
    assert "QUANTIZE at 'tensor_0', DEQUANTIZE at" in run.output
    assert "classifier.tflite is changed" not in run.output


@pytest.mark.parametrize("case", CASES)
def test_the_converted_ends_answer_as_the_cut_model_does(tmp_path: Path, case: str) -> None:
    """What is cut off is nothing but the conversion of the datasets and of the outputs."""
    _, count, float_inputs, float_outputs = CASES[case]
    paths = {}
    for floats in (True, False):
        paths[floats] = tmp_path / f"{floats}.tflite"
        paths[floats].write_bytes(model(case, floats=floats))
    random = np.random.default_rng(5)
    quantised = [random.integers(-128, 128, (6, 8, 8, 3)).astype(np.int8) for _ in range(count)]
    real = [
        dequantise(array, INPUT.scale, INPUT.zero_point) if index in float_inputs else array
        for index, array in enumerate(quantised)
    ]
    whole, cut = run_litert(paths[True], real), run_litert(paths[False], quantised)
    for index, (given, inner) in enumerate(zip(whole, cut, strict=True)):
        assert (given.dtype == np.float32) == (index in float_outputs)
        if index not in float_outputs:
            np.testing.assert_array_equal(given, inner)
        else:
            # One scale and zero point for all values.
            assert len(np.unique(given)) == len(np.unique(inner))
            assert (
                np.argsort(given, axis=None, kind="stable")
                == np.argsort(inner, axis=None, kind="stable")
            ).all()
