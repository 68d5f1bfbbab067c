"""Random graphs, executed from Vela's output, give what TFLite-Micro gives."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, seed, settings

from targets.simulator.simulator import InnerLoops, Simulator
from tests.operators.case import inputs_for
from tests.operators.graphs import GRAPHS, SEED, Graph, graphs
from tests.operators.toolchain import CONFIGURATIONS, build

#: Shares of the work, for pytest-xdist.
BATCHES = 10
ROWS = 8


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_graphs(batch: int, tmp_path: Path) -> None:
    @seed(SEED * BATCHES + batch)
    @settings(
        max_examples=-(-GRAPHS // BATCHES),
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(graphs())
    def check(graph: Graph) -> None:
        agree(graph, tmp_path)

    check()


def agree(graph: Graph, directory: Path) -> None:
    """Compile for one configuration, chosen by the model's content; compare bit by bit."""
    checksum = zlib.crc32(graph.model)
    option = CONFIGURATIONS[checksum % len(CONFIGURATIONS)]
    # Left behind by the last, smallest failure.
    model = directory / "model.tflite"
    compiled = directory / "model_vela.tflite"
    model.write_bytes(graph.model)
    inputs = inputs_for(model, ROWS, checksum)
    reference = build(model, inputs, (option,))
    compiled.write_bytes(reference.compiled[0])
    note(f"{compiled}: {option.accelerator.slug}, {option.memory_mode.value}, {option.optimise}")
    for loops in InnerLoops:
        outputs = Simulator(compiled, inner_loops=loops).run(inputs).outputs
        for index, (got, want) in enumerate(zip(outputs, reference.outputs, strict=True)):
            differing = np.count_nonzero(got != want)
            words = f"{loops.value}, output {index}: {differing} of {want.size} elements differ"
            assert not differing, words
