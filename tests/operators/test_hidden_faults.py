"""No tolerance that can be configured hides what Vela compiles wrongly, not even where a network
makes little of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.judging.tolerances import exceeded
from bench.measuring.reference import compare_outputs
from bench.plan.tolerance import WIDEST
from bench.tflite.model_file import inspect
from bench.tflite.random_inputs import random_inputs
from bench.tflite.reference import ReferenceOutputs
from targets.simulator.simulator import Simulator
from tests.operators.architectures.blocks import Layer
from tests.operators.hidden_faults import FAULTS, HEADS, hidden
from tests.operators.network import Network, Value
from tests.operators.toolchain import CONFIGURATIONS, build

ROWS = 40

Head = Callable[[Network, Value, Value], Value]

#: TFLite-Micro has no int16 kernels for the others, nor has softmax this output's type.
WIDE_FAULTS, WIDE_HEADS = FAULTS[:2], tuple(h for h in HEADS if h.__name__ != "as_classes")


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.__name__)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_an_int8_fault_stays_red(fault: Layer, head: Head, tmp_path: Path) -> None:
    stays_red(hidden(fault, head), tmp_path)


@pytest.mark.parametrize("head", WIDE_HEADS, ids=lambda head: head.__name__)
@pytest.mark.parametrize("fault", WIDE_FAULTS, ids=lambda fault: fault.__name__)
def test_an_int16_fault_stays_red(fault: Layer, head: Head, tmp_path: Path) -> None:
    stays_red(hidden(fault, head, "int16"), tmp_path)


def stays_red(model: bytes, directory: Path) -> None:
    path, compiled = directory / "model.tflite", directory / "model_vela.tflite"
    path.write_bytes(model)
    inputs = random_inputs(inspect(path), ROWS, seed=1)
    reference = build(path, inputs, CONFIGURATIONS[2:3])
    compiled.write_bytes(reference.compiled[0])
    outputs = Simulator(compiled).run(inputs).outputs
    compared, _ = compare_outputs(outputs, ReferenceOutputs(reference.outputs, "tflite-micro"))
    assert compared is not None
    assert exceeded(compared, WIDEST), f"{compared.mismatches} of {compared.elements} differ"
