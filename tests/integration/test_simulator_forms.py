"""Every form in which Vela writes a model, executed: all answer as TFLite-Micro does.

The operator suite and the real networks are compiled as the bench compiles. Here are the other
payloads and containers, the older compiler core, and graphs that go back and forth between NPU and
CPU.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.compiler import VelaOptions, compile_model
from bench.core.arrays import Array
from bench.tflite.interpreters import run_tflm
from bench.tflite.model_file import inspect
from bench.tflite.random_inputs import random_inputs
from targets.artefact import CpuOperator, NpuOperator, load_artefact
from targets.artefact.errors import StreamError
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.simulator.simulator import Simulator
from tests.operators.case import single_input
from tests.operators.network import Network, Quantisation, Value
from tests.operators.pointwise import binary, requantise, softmax, table
from tests.operators.reducing import pool
from tests.operators.shaping import reshape, resize
from tests.operators.weighted import conv2d, depthwise, fully_connected
from tests.support.models.vela_files import run_vela

ROWS = 20
SEPARATE = ("--cop-format", "COP2", "--separate-io-regions")
FORMS = {
    "COP1": (),
    "COP2": ("--cop-format", "COP2"),
    "raw": ("--output-format", "raw"),
    "raw, COP2": ("--output-format", "raw", "--cop-format", "COP2"),
    "separate": SEPARATE,
    "legacy core": ("--debug-force-legacy-core",),
}


def serialised(build: Callable[[Network], Sequence[Value]]) -> bytes:
    network = Network(9)
    return network.serialise(build(network))


def classifier(network: Network) -> list[Value]:
    """Convolutions, a pool and a dense layer with softmax; the features are an output as well."""
    value = network.input((1, 10, 9, 3))
    value = conv2d(network, value, 20, stride=(2, 2), activation="RELU")
    value = depthwise(network, value, activation="RELU6")
    features = pool(network, value, "AVERAGE", (5, 5))
    flat = reshape(network, features, (1, 20))
    return [softmax(network, fully_connected(network, flat, 7)), features]


def two_in_two_out(network: Network) -> list[Value]:
    """Both inputs meet in the middle; what joins them is an output too."""
    first = conv2d(network, network.input((1, 6, 5, 4)), 8)
    second = conv2d(network, network.input((1, 6, 5, 2)), 8, (1, 1))
    total = binary(network, "ADD", first, second)
    return [total, table(network, depthwise(network, total), "LOGISTIC")]


def back_and_forth(network: Network) -> list[Value]:
    """Vela leaves a resize by 3 to the CPU: NPU, CPU, NPU, CPU, NPU.

    The first run's result is read by the first CPU operator and by the last run.
    """
    start = conv2d(network, network.input((1, 3, 4, 5)), 6, activation="RELU")
    large = resize(network, start, (9, 12), bilinear=False)
    small = pool(network, conv2d(network, large, 6), "MAX", (3, 3), stride=(3, 3))
    again = resize(network, small, (9, 12), bilinear=False)
    end = pool(network, depthwise(network, again), "MAX", (3, 3), stride=(3, 3))
    return [binary(network, "ADD", start, binary(network, "ADD", end, small)), again]


def cpu_at_both_ends(network: Network) -> list[Value]:
    """float32 in and out: TFLite's QUANTIZE and DEQUANTIZE are the CPU's."""
    value = network.apply(
        "QUANTIZE",
        [network.input((1, 4, 5, 3), "float32")],
        (1, 4, 5, 3),
        "int8",
        Quantisation(0.0157, -3),
    )
    value = conv2d(network, value, 6)
    return [network.apply("DEQUANTIZE", [value], value.shape, "float32", None)]


def bytes_without_sign(network: Network) -> list[Value]:
    """uint8 in and out, int8 within, as converters write it."""
    value = requantise(network, network.input((1, 6, 5, 4), "uint8"), "int8", Quantisation(0.02, 1))
    value = conv2d(network, value, 5, activation="RELU")
    return [requantise(network, value, "uint8", Quantisation(value.scale, value.zero_point + 128))]


GRAPHS = {
    build.__name__: build
    for build in (classifier, two_in_two_out, back_and_forth, cpu_at_both_ends, bytes_without_sign)
}


def inputs_for(source: Path, rows: int) -> tuple[Array, ...]:
    model = inspect(source)
    if any(tensor.dtype == "float32" for tensor in model.inputs):
        random = np.random.default_rng(4)
        return tuple(
            random.normal(size=(rows, *tensor.shape[1:])).astype(np.float32)
            for tensor in model.inputs
        )
    return random_inputs(model, rows, seed=4)


def check(source: Path, compiled: Path, rows: int = ROWS) -> None:
    inputs = inputs_for(source, rows)
    expected = run_tflm(source, inputs)
    outputs = Simulator(compiled).run(inputs).outputs
    for got, want in zip(outputs, expected, strict=True):
        assert got.dtype == want.dtype
        # A raw file has lost the shapes' leading ones.
        assert np.squeeze(got).shape == np.squeeze(want).shape
        assert np.count_nonzero(np.squeeze(got) != np.squeeze(want)) == 0, f"of {want.size}"


@pytest.mark.parametrize(("graph", "macs"), [("classifier", 32), ("two_in_two_out", 256)])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_answers_as_tflite_micro_does(
    form: str, graph: str, macs: int, tmp_path: Path
) -> None:
    compiled = run_vela(serialised(GRAPHS[graph]), tmp_path, *FORMS[form], macs=macs)
    assert compiled.suffix == (".npz" if form.startswith("raw") else ".tflite")
    check(tmp_path / "model.tflite", compiled)


@pytest.mark.parametrize("zero_point", [-128, 77])
def test_softmax_of_the_legacy_core(zero_point: int, tmp_path: Path) -> None:
    """Its stream leaves the input's zero point in OFM_ZERO_POINT for 32-bit results, and counts
    on a saturating doubling where one class has it all.
    """

    def three(network: Network) -> list[Value]:
        return [
            softmax(network, network.input((1, classes), "int8", scale, zero_point))
            for classes, scale in ((2, 0.3), (7, 0.1), (33, 0.02))
        ]

    compiled = run_vela(serialised(three), tmp_path, *FORMS["legacy core"])
    check(tmp_path / "model.tflite", compiled, rows=200)


@pytest.mark.parametrize(
    ("graph", "form"),
    [
        ("back_and_forth", "COP1"),
        ("back_and_forth", "COP2"),
        ("cpu_at_both_ends", "COP1"),
        ("cpu_at_both_ends", "separate"),
        ("bytes_without_sign", "COP2"),
        ("bytes_without_sign", "separate"),
    ],
)
def test_graphs_of_npu_and_cpu_answer_as_tflite_micro_does(
    graph: str, form: str, tmp_path: Path
) -> None:
    compiled = run_vela(serialised(GRAPHS[graph]), tmp_path, *FORMS[form])
    kinds = [type(operator) for operator in load_artefact(compiled).operators]
    expected = {
        "back_and_forth": [NpuOperator, CpuOperator] * 2 + [NpuOperator],
        "cpu_at_both_ends": [CpuOperator, NpuOperator, CpuOperator],
        "bytes_without_sign": [NpuOperator],
    }
    assert kinds == expected[graph]
    check(tmp_path / "model.tflite", compiled)


def test_what_two_operators_share_lies_beyond_its_region(tmp_path: Path) -> None:
    """Vela 5.2.0 gives a tensor in regions of its own the place it has in the last operator that
    uses it, in every operator's stream. Fails once Vela is cured.
    """
    compiled = run_vela(serialised(back_and_forth), tmp_path, *FORMS["separate"])
    with pytest.raises(StreamError, match=r"operator 0: word \d+ .* region 4 .* has 80 bytes"):
        Simulator(compiled)


@pytest.mark.parametrize(
    ("graph", "accelerator"),
    list(zip(GRAPHS, itertools.cycle(Accelerator), strict=False)),
    ids=lambda value: value if isinstance(value, str) else value.slug,
)
def test_they_do_so_in_sram_alone(graph: str, accelerator: Accelerator, tmp_path: Path) -> None:
    source = tmp_path / "model.tflite"
    source.write_bytes(serialised(GRAPHS[graph]))
    options = VelaOptions(
        accelerator=accelerator, memory_mode=MemoryMode.SRAM_ONLY, optimise="Size"
    )
    check(source, compile_model(source, options, tmp_path / "out").path(tmp_path / "out"))


def test_nothing_for_the_npu_is_still_a_model(tmp_path: Path) -> None:
    """Vela hands a graph back that it cannot use; the CPU runs all of it."""
    case = single_input(
        "resize/only", (1, 3, 4, 5), lambda n, value: resize(n, value, (9, 12), bilinear=False)
    )
    compiled = run_vela(case.model(), tmp_path)
    simulator = Simulator(compiled)
    assert simulator.artefact.macs is None
    assert sum(simulator.traffic.counters.values()) == 0
    check(tmp_path / "model.tflite", compiled)
