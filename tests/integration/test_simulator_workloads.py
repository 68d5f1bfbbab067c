"""The bench's own workloads, every variant, in every configuration the main job leaves out.

The main job compares whole networks, compiled for performance, on test images
(`test_reference.py`). Here are those compiled for size, and those cut before the softmax, which
hides errors; both on values from the whole range of the input.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.tflite.model_file import inspect
from bench.tflite.random_inputs import random_inputs
from targets.simulator.simulator import Simulator
from tests.operators.toolchain import CONFIGURATIONS, build
from tests.support.models.built_variants import DS_CNN, FC, Built, mnist_ds_cnn, mnist_fc, used
from tests.support.models.softmax_cut import before_softmax

__all__ = ["mnist_ds_cnn", "mnist_fc", "used"]

pytestmark = pytest.mark.slow

ROWS = 20


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
@pytest.mark.parametrize("variant", FC)
def test_mnist_fc(mnist_fc: dict[str, Built], variant: str, cut: bool, tmp_path: Path) -> None:
    check(mnist_fc[variant].model, cut, tmp_path)


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
@pytest.mark.parametrize("variant", DS_CNN)
def test_mnist_ds_cnn(
    mnist_ds_cnn: dict[str, Built], variant: str, cut: bool, tmp_path: Path
) -> None:
    check(mnist_ds_cnn[variant].model, cut, tmp_path)


def check(model: Path, cut: bool, directory: Path) -> None:
    wanted = "Performance" if cut else "Size"
    options = tuple(option for option in CONFIGURATIONS if option.optimise == wanted)
    content = model.read_bytes()
    source, compiled = directory / "model.tflite", directory / "model_vela.tflite"
    source.write_bytes(before_softmax(content) if cut else content)
    inputs = random_inputs(inspect(source), ROWS, seed=7)
    reference = build(source, inputs, options)
    for option, made in zip(options, reference.compiled, strict=True):
        compiled.write_bytes(made)
        outputs = Simulator(compiled, option.accelerator).run(inputs).outputs
        for got, want in zip(outputs, reference.outputs, strict=True):
            differing = np.count_nonzero(got != want)
            assert not differing, f"{option}: {differing} of {want.size} elements differ"
