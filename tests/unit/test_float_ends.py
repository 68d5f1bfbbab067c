"""QUANTIZE and DEQUANTIZE at the ends of a model: which are cut off, and what is left."""

from __future__ import annotations

from pathlib import Path

from bench.tflite.float_ends import find_float_ends
from bench.tflite.graph import FileGraph
from bench.tflite.reader import graph_of, read_graph
from bench.tflite.rewriting import cut_off
from tests.support.models.tflite_factory import Op, Tensor, model_bytes

FLOAT_IN, FLOAT_OUT = Tensor("x", (1, 8), "float32"), Tensor("y", (1, 8), "float32")
INT8_IN = Tensor("x_quantised", (1, 8), scale=0.5, zero_point=-3)
INT8_OUT = Tensor("y_quantised", (1, 8), scale=1 / 128)
#: Tensors 0 and 3 are floats.
CHAIN = (FLOAT_IN, INT8_IN, INT8_OUT, FLOAT_OUT)
QUANTISE, TANH = Op("QUANTIZE", (0,), (1,)), Op("TANH", (1,), (2,))
DEQUANTISE = Op("DEQUANTIZE", (2,), (3,))


def graph(
    directory: Path,
    tensors: tuple[Tensor, ...],
    operators: list[Op],
    inputs: list[int],
    outputs: list[int],
) -> FileGraph:
    path = directory / "model.tflite"
    path.write_bytes(model_bytes(tensors, operators, inputs, outputs))
    return read_graph(path)


def test_both_ends_are_cut(tmp_path: Path) -> None:
    whole = graph(tmp_path, CHAIN, [QUANTISE, TANH, DEQUANTISE], [0], [3])
    ends = find_float_ends(whole)
    assert ends.words == "QUANTIZE at 'x', DEQUANTIZE at 'y'"
    left = graph_of(cut_off(whole, ends.operators, ends.tensors), tmp_path)
    assert (left.inputs, left.outputs) == ((1,), (2,))
    assert [node.info.name for node in left.operators] == ["TANH"]


def test_one_end_is_cut_where_the_other_is_quantised(tmp_path: Path) -> None:
    ends = find_float_ends(graph(tmp_path, CHAIN, [QUANTISE, TANH], [0], [2]))
    assert ends.tensors == {0: 1}
    ends = find_float_ends(graph(tmp_path, CHAIN, [TANH, DEQUANTISE], [1], [3]))
    assert ends.tensors == {3: 2}


def test_a_requantisation_inside_stays(tmp_path: Path) -> None:
    middle = Tensor("z", (1, 8), scale=0.25)
    operators = [QUANTISE, Op("QUANTIZE", (1,), (4,)), Op("TANH", (4,), (2,)), DEQUANTISE]
    ends = find_float_ends(graph(tmp_path, (*CHAIN, middle), operators, [0], [3]))
    assert ends.operators == {0, 3}


def test_a_float_input_that_is_quantised_twice_stays(tmp_path: Path) -> None:
    other = Tensor("z", (1, 8), scale=0.25)
    operators = [QUANTISE, Op("QUANTIZE", (0,), (4,)), TANH]
    assert not find_float_ends(graph(tmp_path, (*CHAIN, other), operators, [0], [2, 4])).operators


def test_floats_that_are_computed_with_stay(tmp_path: Path) -> None:
    result = Tensor("z", (1, 8), "float32")
    operators = [QUANTISE, TANH, DEQUANTISE, Op("TANH", (3,), (4,))]
    ends = find_float_ends(graph(tmp_path, (*CHAIN, result), operators, [0], [3, 4]))
    assert ends.operators == {0}
    operators = [Op("TANH", (0,), (3,))]
    assert not find_float_ends(graph(tmp_path, CHAIN, operators, [0], [3])).operators


def test_an_input_that_is_also_an_output_stays(tmp_path: Path) -> None:
    ends = find_float_ends(graph(tmp_path, CHAIN, [QUANTISE, TANH], [0], [0, 2]))
    assert not ends.operators


def test_two_outputs_from_one_tensor_are_cut_both(tmp_path: Path) -> None:
    twin = Tensor("twin", (1, 8), "float32")
    operators = [TANH, DEQUANTISE, Op("DEQUANTIZE", (2,), (4,))]
    ends = find_float_ends(graph(tmp_path, (*CHAIN, twin), operators, [1], [3, 4]))
    assert ends.tensors == {3: 2, 4: 2}
