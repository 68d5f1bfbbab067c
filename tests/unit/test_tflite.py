"""Inspection of `.tflite` files: what is read is right, what is damaged is told."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.core.errors import ModelError
from bench.tflite.model_file import ModelFile, inspect, load_quantised
from tests.support.models.tflite_factory import (
    Op,
    Tensor,
    fully_connected,
    mlp,
    model_bytes,
    single_operator,
)

WEIGHTS = np.arange(-16, 16, dtype=np.int8).reshape(4, 8)
SMALL = mlp([WEIGHTS, WEIGHTS[:, :4]], softmax=True)


def write(directory: Path, data: bytes, name: str = "net.tflite") -> Path:
    path = directory / name
    path.write_bytes(data)
    return path


def tanh(source: Tensor, result: Tensor) -> bytes:
    return single_operator(Op("TANH", (0,), (1,)), [source], [result])


def outcome(path: Path) -> ModelFile | str:
    """The model, or the error's text; anything else that is raised fails the test."""
    try:
        load_quantised(path)
        return inspect(path)
    except ModelError as error:
        return str(error)


INT8_IN = Tensor("x", (1, 8), scale=0.5, zero_point=-3)
INT8_OUT = Tensor("y", (1, 8), scale=1 / 128)


def test_what_a_model_holds(tmp_path: Path) -> None:
    data = fully_connected(WEIGHTS, input_name="ïn", output_name="out", scale=0.25)
    model = load_quantised(write(tmp_path, data))
    assert model.sha256 == hashlib.sha256(data).hexdigest()
    assert model.size_bytes == len(data)
    (source,), (result,) = model.inputs, model.outputs
    assert (source.name, source.shape, source.dtype) == ("ïn", (1, 8), "int8")
    assert (source.scales, source.zero_points) == ((0.25,), (-128,))
    assert (result.name, result.shape) == ("out", (1, 4))
    assert [operator.name for operator in model.operators] == ["FULLY_CONNECTED"]
    assert {t.name: t.constant_bytes for t in model.tensors if t.constant_bytes} == {
        "weights_0": 32,
        "bias_0": 16,
    }
    assert not model.is_vela_output
    assert not model.has_state
    assert ModelFile.model_validate_json(model.model_dump_json()) == model


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_the_quantised_dtypes_are_taken(tmp_path: Path, dtype: str) -> None:
    zero = 7 if dtype != "int16" else 0
    source, result = (Tensor(name, (1, 8), dtype, 0.5, zero) for name in "xy")
    model = load_quantised(write(tmp_path, tanh(source, result)))
    assert model.inputs[0].dtype == model.outputs[0].dtype == dtype


def test_integer_counts_are_taken_as_outputs_only(tmp_path: Path) -> None:
    count = Tensor("n", (1,), "int32")
    load_quantised(write(tmp_path, tanh(INT8_IN, count)))
    with pytest.raises(ModelError, match="input 'n' has dtype int32"):
        load_quantised(write(tmp_path, tanh(count, INT8_OUT)))


def test_a_dynamic_batch_is_one_any_other_dynamic_size_is_refused(tmp_path: Path) -> None:
    batch = Tensor("x", (1, 8), scale=0.5, signature=(-1, 8))
    assert load_quantised(write(tmp_path, tanh(batch, INT8_OUT))).inputs[0].shape == (1, 8)
    width = Tensor("x", (1, 1), scale=0.5, signature=(1, -1))
    with pytest.raises(ModelError, match=r"'x' has a dynamic shape \[1, -1\]"):
        load_quantised(write(tmp_path, tanh(width, INT8_OUT)))


@pytest.mark.parametrize("shape", [(2, 8), (8,), (), (1, 0)])
@pytest.mark.parametrize("role", ["input", "output"])
def test_a_batch_other_than_one_is_refused(
    tmp_path: Path, role: str, shape: tuple[int, ...]
) -> None:
    odd = Tensor("odd", shape, scale=0.5)
    data = tanh(odd, INT8_OUT) if role == "input" else tanh(INT8_IN, odd)
    with pytest.raises(ModelError, match=f"{role} 'odd'.*batch dimension"):
        load_quantised(write(tmp_path, data))


def test_a_float_model_is_told_what_to_do(tmp_path: Path) -> None:
    data = tanh(Tensor("x", (1, 8), "float32"), Tensor("y", (1, 8), "float32"))
    path = write(tmp_path, data)
    assert inspect(path).inputs[0].dtype == "float32"
    with pytest.raises(ModelError, match=r"float model; x float32, y float32(.|\n)*quantise it"):
        load_quantised(path)


def test_a_quantised_model_whose_ends_compute_with_floats_is_told_apart(tmp_path: Path) -> None:
    """With QUANTIZE and without."""
    tensors = [Tensor("x", (1, 8), "float32"), INT8_IN, INT8_OUT]
    for first in ("QUANTIZE", "CAST"):
        operators = [Op(first, (0,), (1,)), Op("TANH", (1,), (2,))]
        path = write(tmp_path, model_bytes(tensors, operators, [0], [2]))
        with pytest.raises(ModelError, match=r"inside(.|\n)*x float32(.|\n)*inference_input_type"):
            load_quantised(path)


def test_quantised_weights_alone_are_told_apart(tmp_path: Path) -> None:
    tensors = [
        Tensor("x", (1, 8), "float32"),
        Tensor("weights", (4, 8), scale=0.5, data=WEIGHTS),
        Tensor("y", (1, 4), "float32"),
    ]
    data = model_bytes(tensors, [Op("FULLY_CONNECTED", (0, 1, -1), (2,))], [0], [2])
    with pytest.raises(ModelError, match=r"dynamic-range(.|\n)*representative_dataset"):
        load_quantised(write(tmp_path, data))


@pytest.mark.parametrize(
    ("scale", "zero_point"), [(None, 0), (0.0, 0), (-1.0, 0), (float("nan"), 0), (0.5, 128)]
)
def test_an_interface_without_usable_scale_is_refused(
    tmp_path: Path, scale: float | None, zero_point: int
) -> None:
    path = write(tmp_path, tanh(Tensor("x", (1, 8), "int8", scale, zero_point), INT8_OUT))
    with pytest.raises(ModelError, match=r"'x'.*no usable quantisation"):
        load_quantised(path)


def test_what_vela_wrote_is_refused_with_the_cure(tmp_path: Path) -> None:
    op = Op("CUSTOM", (0,), (1,), custom="ethos-u")
    path = write(tmp_path, single_operator(op, [INT8_IN], [INT8_OUT]))
    assert inspect(path).is_vela_output
    with pytest.raises(ModelError, match=r"compiled by Vela already(.|\n)*before Vela"):
        load_quantised(path)


def test_a_model_without_operators_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="0 operators"):
        load_quantised(write(tmp_path, model_bytes([INT8_IN], [], [0], [0])))


def test_state_is_seen(tmp_path: Path) -> None:
    state = Tensor("state", (1, 8), scale=0.5, variable=True)
    op = Op("ADD", (0, 1), (2,))
    data = model_bytes([INT8_IN, state, INT8_OUT], [op], [0], [2])
    assert inspect(write(tmp_path, data)).has_state


@pytest.mark.parametrize("content", [b"", b"TFL3", b"0000TFL", b"hello, world: no model"])
def test_other_files_are_told(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelError, match=r"net\.tflite is not a TFLite model"):
        inspect(write(tmp_path, content))


def test_missing_files_and_directories_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.tflite: No such file"):
        inspect(tmp_path / "gone.tflite")
    with pytest.raises(ModelError, match="not a regular file"):
        inspect(tmp_path)


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    for length in range(8, len(SMALL) - 4, 4):
        path = write(tmp_path, SMALL[:length])
        # The builder writes back to front: the last bytes are a string's padding.
        if length <= len(SMALL) - 16:
            with pytest.raises(ModelError, match=r"net\.tflite .*truncated or damaged"):
                inspect(path)
        else:
            outcome(path)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(min_value=0))
def test_flipped_bytes_give_a_model_or_a_model_error(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(SMALL)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(8, len(data))
        width = rng.choice((1, 1, 4))
        data[at : at + width] = rng.choice(
            [bytes([rng.randrange(256)]), b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\0"]
        )[:width]
    path = write(tmp_path, bytes(data))
    read = outcome(path)
    assert isinstance(read, ModelFile) or str(path) in read


def test_a_length_of_billions_is_refused_at_once(tmp_path: Path) -> None:
    # A shape of 0x7fffffff dimensions: walked element by element it would take minutes.
    needle = np.array([2, 1, 8], "<i4").tobytes()
    assert needle in SMALL
    data = SMALL.replace(needle, np.array([2**31 - 1, 1, 8], "<i4").tobytes())
    with pytest.raises(ModelError, match="2147483647 elements does not fit"):
        inspect(write(tmp_path, data))


def zoo() -> list[Path]:
    directory = os.environ.get("BENCH_MODEL_ZOO")
    return sorted(Path(directory).glob("*.tflite")) if directory else []


@pytest.mark.skipif(
    not zoo(),
    reason="BENCH_MODEL_ZOO is not set to a directory of .tflite models: real models are NOT read",
)
@pytest.mark.parametrize("path", zoo(), ids=lambda path: path.stem)
def test_real_models_are_accepted_and_their_truncations_refused(path: Path, tmp_path: Path) -> None:
    model = load_quantised(path)
    assert all(tensor.dtype == "int8" for tensor in (*model.inputs, *model.outputs))
    weights = sum(tensor.constant_bytes for tensor in model.tensors)
    assert 0 < weights < model.size_bytes
    data = path.read_bytes()
    for length in np.linspace(8, len(data) - 64, 40).astype(int):
        with pytest.raises(ModelError, match="truncated or damaged"):
            inspect(write(tmp_path, data[:length]))
