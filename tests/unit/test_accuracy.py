"""Quantisation and back, metrics as scikit-learn computes them, datasets checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    mean_squared_error,
    roc_auc_score,
)

from bench.core.arrays import Array
from bench.core.errors import ModelError
from bench.measuring.quantisation import dequantise, quantise
from bench.measuring.scoring.scores import Scored
from bench.measuring.scoring.scores import evaluate as evaluate_scored
from bench.plan.metrics import AccuracyMetric as Metric
from bench.tflite.model_file import ModelFile, inspect
from tests.support.datasets import load_dataset
from tests.support.models.tflite_factory import Op, Tensor, model_bytes, single_operator


def evaluate(metric: Metric, outputs: Array, labels: Array) -> float:
    return evaluate_scored(metric, Scored(outputs, labels))


@given(st.integers(-128, 127), st.integers(-128, 127), st.floats(1e-6, 1e3, allow_subnormal=False))
def test_quantise_undoes_dequantise(value: int, zero: int, scale: float) -> None:
    integers = np.array([value], np.int8)
    assert quantise(dequantise(integers, scale, zero), scale, zero, "int8") == integers


def test_huge_values_saturate_and_nonsense_is_refused() -> None:
    huge = np.array([1e300, -1e300, 3e38])
    np.testing.assert_array_equal(quantise(huge, 0.01, 0, "int8"), [127, -128, 127])
    for bad in (np.nan, np.inf):
        with pytest.raises(ModelError, match="infinite or not a number"):
            quantise(np.array([0.0, bad]), 1.0, 0, "int8")


scores = st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({label for _, label in rows}) == 2
)


@given(scores)
def test_auc_equals_scikit_learn_with_ties(rows: list[tuple[int, bool]]) -> None:
    values = np.array([value for value, _ in rows], np.float32)
    labels = np.array([label for _, label in rows], np.int64)
    assert evaluate(Metric.AUC, values[:, None], labels) == pytest.approx(
        roc_auc_score(labels, values), abs=1e-12
    )


@given(
    st.integers(1, 30).flatmap(
        lambda n: st.tuples(
            st.lists(st.lists(st.integers(-3, 3), min_size=4, max_size=4), min_size=n, max_size=n),
            st.lists(st.integers(0, 3), min_size=n, max_size=n),
        )
    )
)
def test_top1_equals_scikit_learn(data: tuple[list[list[int]], list[int]]) -> None:
    outputs, labels = np.array(data[0], np.int8), np.array(data[1])
    assert evaluate(Metric.TOP1, outputs, labels) == pytest.approx(
        accuracy_score(labels, outputs.argmax(axis=1))
    )


def test_top1_takes_outputs_of_any_rank_and_the_first_of_equals() -> None:
    outputs = np.array([[[[3, 1, 3]]], [[[0, 2, 2]]]], np.int8)
    assert evaluate(Metric.TOP1, outputs, np.array([0, 1])) == 1.0
    assert evaluate(Metric.TOP1, outputs, np.array([2, 2])) == 0.0


def test_mse_equals_scikit_learn_and_does_not_overflow() -> None:
    rng = np.random.default_rng(1)
    left, right = rng.normal(size=(2, 20, 5))
    assert evaluate(Metric.MSE, left, right) == pytest.approx(mean_squared_error(left, right))
    far = np.full((2, 2), 127, np.int8), np.full((2, 2), -128, np.int8)
    assert evaluate(Metric.MSE, *far) == 255**2


def test_evaluate_picks_the_metric_and_its_scores() -> None:
    labels = np.array([0, 1, 1, 0])
    two_classes = np.array([[0.6, 0.4], [0.1, 0.9], [0.3, 0.7], [0.8, 0.2]], np.float32)
    assert evaluate(Metric.TOP1, two_classes, labels) == 1.0
    assert evaluate(Metric.AUC, two_classes, labels) == 1.0
    assert evaluate(Metric.AUC, two_classes[:, ::-1], labels) == 0.0
    assert evaluate(Metric.AUC, two_classes[:, 1:], labels) == 1.0
    assert evaluate(Metric.MSE, two_classes, two_classes + 2) == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("metric", "outputs", "labels"),
    [
        (Metric.TOP1, np.zeros((2, 3)), np.array([0, 3])),
        (Metric.TOP1, np.zeros((2, 3)), np.array([0, -1])),
        (Metric.TOP1, np.zeros((2, 3)), np.array([0])),
        (Metric.TOP1, np.zeros((2, 3)), np.array([0.0, 1.0])),
        (Metric.TOP1, np.zeros((0, 3)), np.array([], int)),
        (Metric.AUC, np.zeros((2, 3)), np.array([0, 1])),
        (Metric.AUC, np.zeros((2, 1)), np.array([1, 1])),
        (Metric.AUC, np.zeros((2, 1)), np.array([1, 2])),
        (Metric.AUC, np.array([np.nan, 0.0]), np.array([1, 0])),
        (Metric.AUC, np.zeros((0, 2)), np.array([], int)),
        (Metric.MSE, np.zeros((2, 3)), np.zeros((2, 1))),
        (Metric.MSE, np.zeros((0, 3)), np.zeros((0, 3))),
    ],
)
def test_labels_that_do_not_fit_are_refused(metric: Metric, outputs: Array, labels: Array) -> None:
    with pytest.raises(ModelError):
        evaluate(metric, outputs, labels)


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    tensors = [Tensor("x", (1, 2, 3), scale=0.5, zero_point=1), Tensor("y", (1, 2, 3), scale=0.5)]
    path = tmp_path / "net.tflite"
    path.write_bytes(single_operator(Op("RELU", (0,), (1,)), tensors[:1], tensors[1:]))
    return inspect(path)


@pytest.fixture
def two_inputs(tmp_path: Path) -> ModelFile:
    tensors = [Tensor(name, (1, 2), scale=0.5) for name in "abc"]
    path = tmp_path / "two.tflite"
    path.write_bytes(model_bytes(tensors, [Op("MAXIMUM", (0, 1), (2,))], [0, 1], [2]))
    return inspect(path)


def save(directory: Path, **arrays: Any) -> Path:
    path = directory / "data.npz"
    np.savez(path, **arrays)
    return path


def test_floats_are_quantised_with_the_models_own_scale(tmp_path: Path, model: ModelFile) -> None:
    values = np.array([[[0, 0.5, 1], [-1, 1000, -1000]]], np.float64)
    path = save(tmp_path, inputs=values, labels=np.array([4]))
    dataset = load_dataset(path, model)
    (inputs,) = dataset.inputs
    np.testing.assert_array_equal(inputs, [[[1, 2, 3], [-1, 127, -128]]])
    assert inputs.dtype == np.int8
    np.testing.assert_array_equal(dataset.labels, [4])


def test_integers_pass_unchanged_and_labels_are_optional(tmp_path: Path, model: ModelFile) -> None:
    values = np.arange(12, dtype=np.int8).reshape(2, 2, 3)
    dataset = load_dataset(save(tmp_path, inputs=values), model)
    np.testing.assert_array_equal(dataset.inputs[0], values)
    assert dataset.labels is None


def test_several_inputs_go_by_number(tmp_path: Path, two_inputs: ModelFile) -> None:
    first, second = np.zeros((3, 2), np.int8), np.ones((3, 2), np.int8)
    dataset = load_dataset(save(tmp_path, inputs_1=second, inputs_0=first), two_inputs)
    assert [int(array[0, 0]) for array in dataset.inputs] == [0, 1]
    with pytest.raises(ModelError, match=r"expected the keys inputs_0, inputs_1.*found inputs"):
        load_dataset(save(tmp_path, inputs=first), two_inputs)


GOOD = np.zeros((2, 2, 3), np.int8)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"labels": np.zeros(2, int)}, "found none"),
        ({"inputs": GOOD, "label": np.zeros(2, int)}, "unknown: label"),
        ({"inputs": GOOD, "inputs_0": GOOD}, "found inputs, inputs_0"),
        ({"inputs": GOOD.reshape(2, 6)}, r"'inputs': shape \[2, 6\], the model takes \[n, 2, 3\]"),
        ({"inputs": GOOD.astype(np.uint8)}, "'inputs': dtype uint8, the model takes int8"),
        ({"inputs": GOOD.astype(np.int64)}, "'inputs': dtype int64"),
        ({"inputs": np.full((2, 2, 3), np.nan)}, r"inputs\[0, 0, 0\] is nan"),
        ({"inputs": np.int8(1)}, r"'inputs': shape \[\]"),
        ({"inputs": GOOD[:0]}, "inputs 0"),
        ({"inputs": GOOD, "labels": np.zeros(3, int)}, "inputs 2, labels 3"),
        ({"inputs": GOOD, "labels": np.int64(3)}, "'labels': not numbers"),
        ({"inputs": GOOD, "labels": np.array(["cat", "dog"])}, "'labels': not numbers"),
        ({"inputs": GOOD, "labels": np.array([None, 1])}, "cannot read the dataset"),
    ],
)
def test_a_dataset_that_does_not_fit_is_named(
    tmp_path: Path, model: ModelFile, arrays: dict[str, Any], words: str
) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        load_dataset(save(tmp_path, **arrays), model)
    assert "data.npz" in str(caught.value)


def test_files_that_are_no_dataset_are_named(tmp_path: Path, model: ModelFile) -> None:
    path = tmp_path / "data.npz"
    whole = save(tmp_path, inputs=GOOD).read_bytes()
    np.save(tmp_path / "single.npy", GOOD)
    single = (tmp_path / "single.npy").read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2], whole[:-1], b"PK\3\4", single):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"cannot read the dataset .*data\.npz"):
            load_dataset(path, model)
    with pytest.raises(ModelError, match=r"gone\.npz"):
        load_dataset(tmp_path / "gone.npz", model)


@given(st.data())
def test_a_damaged_dataset_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("damaged")
    tensors = [Tensor("x", (1, 2, 3), scale=0.5), Tensor("y", (1, 2, 3), scale=0.5)]
    net = directory / "net.tflite"
    net.write_bytes(single_operator(Op("RELU", (0,), (1,)), tensors[:1], tensors[1:]))
    path = save(directory, inputs=GOOD, labels=np.array([1, 0]))
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        outcome = str(load_dataset(path, inspect(net)).inputs[0].shape)
    except ModelError as error:
        outcome = str(error)
    assert outcome == str(GOOD.shape) or "data.npz" in outcome


def test_masks_of_class_numbers_may_have_more_classes_than_columns() -> None:
    """A model that ends in ARG_MAX gives the number of each pixel's class."""
    labels = np.array([[[0, 9], [20, 9]]], np.int32)
    assert evaluate(Metric.IOU, labels.copy(), labels) == 1
    half = labels.copy()
    half[0, 0, 1] = 20
    # 0: 1 of 1; 9: 1 of 2; 20: 1 of 2.
    assert evaluate(Metric.IOU, half, labels) == pytest.approx((1 + 0.5 + 0.5) / 3)
    scores = np.zeros((1, 2, 2, 3), np.float32)
    with pytest.raises(ModelError, match="labels run from 0 to 20, the model has 3 classes"):
        evaluate(Metric.IOU, scores, labels)
