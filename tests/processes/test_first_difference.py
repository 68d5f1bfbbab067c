"""Where two compiled models part: the layer that was changed is found, however Vela cut it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from bench.compiler import VelaOptions, compile_model
from bench.core.arrays import Array
from bench.history.first_difference import Pair, first_difference
from bench.history.layer_outputs import RunningModel, whole
from bench.tflite.model_file import inspect
from bench.tflite.random_inputs import random_inputs
from targets.artefact import load_artefact
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.simulator.observation import CpuOutput, NpuOutput
from targets.simulator.simulator import Simulator
from tests.operators.network import Network
from tests.operators.weighted import conv2d, transpose_conv
from tests.support.models.tflite_factory import mlp, repacked
from tests.support.models.vela_files import run_vela, zoo


def compiled(
    model: bytes,
    directory: Path,
    optimise: Literal["Performance", "Size"] = "Performance",
    memory_mode: MemoryMode = MemoryMode.SHARED_SRAM,
) -> Path:
    directory.mkdir()
    source = directory / "model.tflite"
    source.write_bytes(model)
    options = VelaOptions(
        accelerator=Accelerator.U55_128, memory_mode=memory_mode, optimise=optimise
    )
    return compile_model(source, options, directory).path(directory)


def pair(a: Path, b: Path, rows: int = 4) -> Pair:
    models = [RunningModel(path, Accelerator.U55_128, ()) for path in (a, b)]
    inputs = [random_inputs(inspect(path), rows, seed=3) for path in (a, b)]
    return Pair(models[0], models[1], inputs[0], inputs[1])


def three_layers(*weights: Array) -> bytes:
    return mlp(weights, softmax=True)


@pytest.fixture(scope="module")
def layers() -> list[Array]:
    rng = np.random.default_rng(7)
    shapes = ((24, 40), (16, 24), (10, 16))
    return [rng.integers(-127, 128, shape).astype(np.int8) for shape in shapes]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_changed_layer_is_found(tmp_path: Path, layers: list[Array], place: int) -> None:
    other = [*layers]
    other[place] = np.roll(layers[place], 1, axis=0)
    a = compiled(three_layers(*layers), tmp_path / "a")
    b = compiled(three_layers(*other), tmp_path / "b")
    found = first_difference(pair(a, b))
    assert not isinstance(found, str), found
    assert found.layer == f"dense_{place}"
    assert found.same_before == place
    assert 0 < found.mismatches <= found.elements == layers[place].shape[0]
    assert found.largest > 0


def test_a_layer_of_another_size_is_said_to_be_one(tmp_path: Path, layers: list[Array]) -> None:
    wider = [layers[0], np.vstack([layers[1], layers[1][:1]]), np.pad(layers[2], ((0, 0), (0, 1)))]
    a = compiled(three_layers(*layers), tmp_path / "a")
    b = compiled(three_layers(*wider), tmp_path / "b")
    found = first_difference(pair(a, b))
    assert not isinstance(found, str), found
    assert (found.layer, found.same_before) == ("dense_1", 1)
    assert found.remark == "it gives 1x1x17 instead of 1x1x16"


def test_equal_models_and_other_inputs_are_told(tmp_path: Path, layers: list[Array]) -> None:
    a = compiled(three_layers(*layers), tmp_path / "a")
    assert first_difference(pair(a, a)) == (
        "on the simulator the outputs for the first 4 inputs are the same"
    )
    both = pair(a, a)
    shifted = Pair(both.a, both.b, both.inputs_a, [array ^ 1 for array in both.inputs_a])
    found = first_difference(shifted)
    assert not isinstance(found, str)
    assert (found.layer, found.remark[:17]) == ("", "the inputs differ")


def test_a_stream_is_searched_step_by_step(tmp_path: Path, layers: list[Array]) -> None:
    """Rows may differ in a late step only: those before it give the same."""
    a = compiled(three_layers(*layers), tmp_path / "a")
    other = [layers[0], np.roll(layers[1], 1, axis=0), layers[2]]
    b = compiled(three_layers(*other), tmp_path / "b")
    both = pair(a, b, rows=6)
    streams = [array.reshape(2, 3, *array.shape[1:]) for array in both.inputs_a]
    found = first_difference(Pair(both.a, both.b, streams, streams, streams=True))
    assert not isinstance(found, str), found
    assert (found.layer, found.input) == ("dense_1", 0)
    assert found.step is not None


def bias_changed(operator: int) -> Callable[[schema.ModelT], None]:
    def change(model: schema.ModelT) -> None:
        graph = model.subgraphs[0]
        tensor = graph.tensors[graph.operators[operator].inputs[2]]
        data = np.array(model.buffers[tensor.buffer].data, np.uint8).view(np.int32)
        model.buffers[tensor.buffer].data = (data + 40_000).view(np.uint8)

    return change


@pytest.mark.parametrize(
    "name", ["kws_micronet_m", "kws_ref_model", "pretrainedResnet_quant", "vww_96_int8"]
)
@pytest.mark.parametrize("memory_mode", [MemoryMode.SHARED_SRAM, MemoryMode.SRAM_ONLY])
def test_slices_and_stripes_are_put_together(
    tmp_path: Path, name: str, memory_mode: MemoryMode
) -> None:
    """Vela cuts layers into channels or rows by memory mode and option; the values are the same."""
    model = (zoo() / f"{name}.tflite").read_bytes()
    both = pair(
        compiled(model, tmp_path / "a"), compiled(model, tmp_path / "b", "Size", memory_mode), 1
    )
    mine, theirs = (each.layers(both.inputs_a, 1)[0] for each in (both.a, both.b))
    cut = 0
    for one, other in zip(mine, theirs, strict=True):
        assert one.name == other.name
        if [part.values.shape for part in one.parts] != [part.values.shape for part in other.parts]:
            np.testing.assert_array_equal(whole(one.parts), whole(other.parts))
            cut += 1
    assert cut or name == "kws_ref_model"


@pytest.mark.parametrize("operator", [0, 4])
def test_a_changed_layer_is_found_among_others_that_are_cut(tmp_path: Path, operator: int) -> None:
    model = (zoo() / "kws_micronet_m.tflite").read_bytes()
    a = compiled(model, tmp_path / "a")
    same = pair(a, compiled(model, tmp_path / "same", "Size"))
    assert first_difference(same) == (
        "on the simulator the outputs for the first 4 inputs are the same"
    )
    changed = compiled(repacked(model, bias_changed(operator)), tmp_path / "b", "Size")
    found = first_difference(pair(a, changed))
    assert not isinstance(found, str), found
    assert found.layer == f"Conv2D {operator}"
    assert (found.same_before, found.not_compared) == (operator, ())


def test_watching_changes_nothing_and_sees_both_processors(tmp_path: Path) -> None:
    network = Network(3)
    value = conv2d(network, network.input((1, 4, 4, 4)), 4)
    value = conv2d(network, transpose_conv(network, value, 4, stride=(3, 3)), 4)
    path = run_vela(network.serialise([value]), tmp_path)
    simulator = Simulator(load_artefact(path))
    inputs = random_inputs(inspect(path), 3, seed=1)
    seen: list[NpuOutput | CpuOutput] = []
    watched = simulator.run(inputs, seen.append)
    for one, other in zip(watched.outputs, simulator.run(inputs).outputs, strict=True):
        np.testing.assert_array_equal(one, other)
    kinds = [type(output) for output in seen]
    assert kinds[0] is kinds[-1] is NpuOutput
    assert kinds.count(CpuOutput) == 1
    on_npu = [output.operation for output in seen if isinstance(output, NpuOutput)]
    assert on_npu == sorted(set(on_npu))
    # The operations of the second `ethos-u` operator are counted on from those of the first.
    assert on_npu[-1] >= len(simulator.artefact.npu_operators[0].operations)
    np.testing.assert_array_equal(seen[-1].values, watched.outputs[0])
