"""The simulator against TFLite-Micro on real networks: not one element may differ."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from _pytest.mark.structures import ParameterSet

from bench.compiler import VelaOptions, compile_model
from bench.core.arrays import Array
from bench.core.errors import TargetError
from bench.tflite.interpreters import run_tflm
from bench.tflite.model_file import inspect
from bench.tflite.random_inputs import random_inputs
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.simulator.simulator import Simulator
from tests.support.models.softmax_cut import before_softmax

pytestmark = pytest.mark.slow

WITH_SOFTMAX = ("kws_ref_model", "pretrainedResnet_quant", "vww_96_int8")
MODELS = ("ad01_int8", "kws_micronet_m", *WITH_SOFTMAX)
ROWS = 20

Network = tuple[Path, tuple[Array, ...], tuple[Array, ...]]


def zoo() -> Path:
    directory = os.environ.get("BENCH_MODEL_ZOO")
    if not directory:
        pytest.skip(
            "BENCH_MODEL_ZOO is not set: NO REAL NETWORK WAS COMPARED. Set it to a directory "
            f"with {', '.join(MODELS)} (.tflite)"
        )
    return Path(directory)


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], Network]:
    """Model file, inputs and TFLite-Micro's outputs; made once a session."""
    directory = tmp_path_factory.mktemp("networks")

    @cache
    def make(name: str, cut: bool) -> Network:
        path = zoo() / f"{name}.tflite"
        if not path.is_file():
            pytest.skip(f"{path} does not exist: THIS NETWORK WAS NOT COMPARED")
        if cut:
            content = before_softmax(path.read_bytes())
            path = directory / f"{name}_cut.tflite"
            path.write_bytes(content)
        inputs = random_inputs(inspect(path), ROWS, seed=20)
        return path, inputs, run_tflm(path, inputs)

    return make


def settings() -> Iterator[ParameterSet]:
    """All ways to compile; every second one, in a chequer, is left to `make test-long`."""
    ways = product(Accelerator, MemoryMode, ("Performance", "Size"))
    for number, (accelerator, mode, optimise) in enumerate(ways):
        marks = pytest.mark.long if number.bit_count() % 2 else ()
        name = f"{accelerator.slug}-{mode.slug}-{optimise}"
        yield pytest.param(accelerator, mode, optimise, marks=marks, id=name)


@pytest.mark.parametrize(("accelerator", "mode", "optimise"), settings())
@pytest.mark.parametrize(
    ("name", "cut"),
    [
        *(pytest.param(name, False, id=name) for name in MODELS),
        *(pytest.param(name, True, id=f"{name}-cut") for name in WITH_SOFTMAX),
    ],
)
def test_a_network_answers_as_tflite_micro_does(
    name: str,
    cut: bool,
    accelerator: Accelerator,
    mode: MemoryMode,
    optimise: str,
    network: Callable[[str, bool], Network],
    tmp_path: Path,
) -> None:
    path, inputs, expected = network(name, cut)
    options = VelaOptions.model_validate(
        {"accelerator": accelerator, "memory_mode": mode, "optimise": optimise}
    )
    compiled = compile_model(path, options, tmp_path).path(tmp_path)
    outputs = Simulator(compiled, accelerator).run(inputs).outputs
    assert [output.dtype for output in outputs] == [want.dtype for want in expected]
    mismatches = [np.count_nonzero(a != b) for a, b in zip(outputs, expected, strict=True)]
    assert mismatches == [0] * len(expected), f"of {[want.size for want in expected]} elements"


def test_a_row_does_not_depend_on_the_batch(
    network: Callable[[str, bool], Network], tmp_path: Path
) -> None:
    path, inputs, _ = network("kws_ref_model", True)
    options = VelaOptions(accelerator=Accelerator.U55_64, memory_mode=MemoryMode.SHARED_SRAM)
    simulator = Simulator(compile_model(path, options, tmp_path).path(tmp_path))
    together = simulator.run(inputs).outputs[0]
    alone = [simulator.run([array[i : i + 1] for array in inputs]).outputs[0] for i in range(ROWS)]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_another_accelerator_is_refused(
    network: Callable[[str, bool], Network], tmp_path: Path
) -> None:
    path, inputs, _ = network("kws_ref_model", False)
    options = VelaOptions(accelerator=Accelerator.U55_64, memory_mode=MemoryMode.SHARED_SRAM)
    compiled = compile_model(path, options, tmp_path).path(tmp_path)
    with pytest.raises(TargetError, match=r"64 MACs.* 256") as error:
        Simulator(compiled, Accelerator.U55_256)
    assert "ethos-u55-256" in error.value.cure
    with pytest.raises(TargetError, match="int8"):
        Simulator(compiled).run([inputs[0].astype(np.int16)])
