"""Why 16-bit softmax differs from TFLite-Micro's by one here and there: Vela's table, nothing else.

The same algorithm gives TFLite-Micro's answers with TFLite-Micro's tables, and the simulator's
with the tables in Vela's output.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from targets.artefact import FlashRegion, load_artefact
from targets.artefact.stream.operations import Dma
from targets.simulator.simulator import Simulator
from tests.operators.case import inputs_for, single_input
from tests.operators.pointwise import softmax
from tests.operators.softmax16 import Table, exponential, reciprocal, softmax16
from tests.operators.toolchain import CONFIGURATIONS, build

#: Entries of the reciprocal table.
DIFFERENT = [160, 294]


def tables(compiled: Path) -> tuple[Table, Table]:
    """The two tables Vela has stored, in the order they are loaded."""
    (operator,) = load_artefact(compiled).npu_operators
    found = []
    for operation in operator.operations:
        if isinstance(operation, Dma) and operation.destination_region is None:
            region = operator.regions[operation.source_region]
            assert isinstance(region, FlashRegion)
            content = region.data[operation.source : operation.source + operation.length]
            pairs = content.tobytes()
            entries = np.frombuffer(pairs, "<i2").reshape(-1, 2).astype(np.int64)
            found.append(Table(entries[:, 0], entries[:, 1]))
    first, second = found
    return first, second


@pytest.mark.parametrize("classes", [5, 12])
@pytest.mark.parametrize("quanta", [0.001, 0.1, 0.3, 1, 4, 10])
def test_the_difference_is_velas_table(quanta: float, classes: int, tmp_path: Path) -> None:
    scale = quanta / 32768
    case = single_input("softmax16", (1, 30, 30, classes), softmax, dtype="int16", scale=scale)
    model, compiled = tmp_path / "model.tflite", tmp_path / "model_vela.tflite"
    model.write_bytes(case.model())
    inputs = inputs_for(model, 20, 1)
    reference = build(model, inputs, CONFIGURATIONS[2:3])
    compiled.write_bytes(reference.compiled[0])
    outputs = Simulator(compiled).run(inputs).outputs[0]
    answer = partial(softmax16, inputs[0], scale)
    np.testing.assert_array_equal(answer(exponential(), reciprocal()), reference.outputs[0])
    np.testing.assert_array_equal(answer(*tables(compiled)), outputs)


def test_two_entries_differ_by_one(tmp_path: Path) -> None:
    case = single_input("softmax16", (1, 5), softmax, dtype="int16", scale=1 / 32768)
    model, compiled = tmp_path / "model.tflite", tmp_path / "model_vela.tflite"
    model.write_bytes(case.model())
    compiled.write_bytes(build(model, inputs_for(model, 6, 1), CONFIGURATIONS[:1]).compiled[0])
    exp, one_over = tables(compiled)
    np.testing.assert_array_equal(exp.base, exponential().base)
    np.testing.assert_array_equal(exp.slope, exponential().slope)
    difference = one_over.base - reciprocal().base
    assert np.flatnonzero(difference).tolist() == DIFFERENT
    assert np.abs(difference[DIFFERENT]).tolist() == [1, 1]
