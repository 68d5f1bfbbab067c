"""Which output is judged, and labels that do not fit: known before anything is compiled."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score, mean_absolute_error, top_k_accuracy_score

from bench.core.arrays import Array
from bench.core.errors import ModelError
from bench.measuring.quantisation import real_range, saturated
from bench.measuring.scoring.labels import facts_of_labels
from bench.measuring.scoring.outputs import judged_output
from bench.measuring.scoring.scores import Scored, check_labels
from bench.measuring.scoring.scores import evaluate as evaluate_scored
from bench.plan.metrics import AccuracyMetric as Metric
from bench.tflite.model_file import TensorInfo


def output(name: str, *shape: int, dtype: str = "int8") -> TensorInfo:
    return TensorInfo(
        name=name,
        shape=(1, *shape),
        shape_signature=(1, *shape),
        dtype=dtype,
        scales=(0.1,),
        zero_points=(0,),
        constant_bytes=0,
        is_variable=False,
    )


CLASSES = np.array([0, 3, 9, 1])
CLASS_FACTS = facts_of_labels(CLASSES)


def evaluate(metric: Metric, outputs: Array, labels: Array) -> float:
    return evaluate_scored(metric, Scored(outputs, labels))


def test_the_only_output_that_fits_is_judged() -> None:
    heads = [output("regression", 4), output("classes", 10)]
    assert judged_output(Metric.TOP1, heads, CLASS_FACTS, None) == 1
    assert judged_output(Metric.MSE, heads, facts_of_labels(np.zeros((4, 4))), None) == 0


def test_labels_that_fit_both_heads_need_a_name() -> None:
    heads = [output("digit", 10), output("style", 12)]
    with pytest.raises(ModelError, match=r"fit 2 of the model's 2 outputs.*digit.*style") as caught:
        judged_output(Metric.TOP1, heads, CLASS_FACTS, None)
    assert "output = " in caught.value.cure
    assert judged_output(Metric.TOP1, heads, CLASS_FACTS, "style") == 1
    with pytest.raises(ModelError, match="did you mean 'style'"):
        judged_output(Metric.TOP1, heads, CLASS_FACTS, "stile")


def test_labels_that_fit_no_head_say_why() -> None:
    heads = [output("a", 3), output("b", 4)]
    with pytest.raises(ModelError, match="fit none of the model's 2 outputs"):
        judged_output(Metric.TOP1, heads, CLASS_FACTS, None)


def test_a_teams_own_metric_on_several_outputs_needs_a_name() -> None:
    heads = [output("a", 3), output("b", 4)]
    with pytest.raises(ModelError, match="2 outputs"):
        judged_output(None, heads, CLASS_FACTS, None)
    assert judged_output(None, heads, CLASS_FACTS, "b") == 1


@pytest.mark.parametrize(
    ("metric", "shape", "labels", "says"),
    [
        (Metric.TOP1, (4, 10), np.eye(10)[CLASSES].astype(np.int64), "one-hot"),
        (Metric.TOP1, (4, 10), np.array([0, 1, 2, 10]), "the model has 10 classes"),
        (Metric.TOP1, (4, 10), np.array([0, 1, -1, 2]), "from -1"),
        (Metric.TOP1, (4, 10), CLASSES.astype(np.float32), "integer classes"),
        (Metric.TOP1, (4, 10), CLASSES[:3], "one integer class per row"),
        (Metric.TOP5, (4, 5), np.array([0, 1, 2, 3]), "more than 5 classes"),
        (Metric.AUC, (4, 1), np.array([0, 0, 0, 0]), "each at least once"),
        (Metric.AUC, (4, 3), np.array([0, 1, 0, 1]), "two classes"),
        (Metric.MSE, (4, 2), np.zeros(4), "the outputs' shape"),
        (Metric.MAE, (4, 2), np.zeros((4, 3)), "the outputs' shape"),
        (Metric.IOU, (4, 8, 8, 3), CLASSES, "each pixel"),
        (Metric.IOU, (4, 2, 2, 3), np.full((4, 2, 2), 3), "the model has 3 classes"),
    ],
)
def test_labels_that_do_not_fit(
    metric: Metric, shape: tuple[int, ...], labels: Array, says: str
) -> None:
    with pytest.raises(ModelError) as caught:
        check_labels(metric, shape, facts_of_labels(labels))
    assert says in str(caught.value)
    with pytest.raises(ModelError):
        evaluate(metric, np.zeros(shape, np.float32), labels)


def test_a_model_that_ends_in_arg_max_is_scored_by_its_numbers() -> None:
    numbers = np.array([[0], [3], [8], [1]], np.int64)
    check_labels(Metric.TOP1, numbers.shape, CLASS_FACTS)
    assert evaluate(Metric.TOP1, numbers, CLASSES) == 0.75
    assert evaluate(Metric.TOP1, numbers[:, 0], CLASSES) == 0.75


@given(st.integers(0, 2**32 - 1), st.integers(6, 12), st.integers(2, 40))
def test_metrics_are_scikit_learns(seed: int, classes: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.arange(rows * classes)).reshape(rows, classes).astype(np.float32)
    labels = rng.integers(0, classes, rows)
    predicted = scores.argmax(axis=1)
    every = np.arange(classes)
    assert math.isclose(
        evaluate(Metric.TOP5, scores, labels),
        top_k_accuracy_score(labels, scores, k=5, labels=every),
    )
    assert evaluate(Metric.F1, scores, labels) == f1_score(
        labels, predicted, average="macro", zero_division=0
    )
    wanted = rng.normal(size=(rows, classes))
    assert math.isclose(
        evaluate(Metric.MAE, scores, wanted), mean_absolute_error(wanted, scores), rel_tol=1e-9
    )
    pixels = rng.normal(size=(2, 3, rows, classes))
    mask = rng.integers(0, classes, (2, 3, rows))
    assert evaluate(Metric.IOU, pixels, mask) == jaccard_score(
        mask.reshape(-1), pixels.argmax(-1).reshape(-1), average="macro", zero_division=0
    )


@given(st.floats(1e-3, 1e3), st.integers(-128, 127))
def test_what_the_range_holds_is_not_saturated(scale: float, zero_point: int) -> None:
    low, high = real_range(scale, zero_point, "int8")
    inside = np.linspace(low, high, 50)
    assert saturated(inside, scale, zero_point, "int8") == 0
    assert saturated(np.array([low - scale, high + scale]), scale, zero_point, "int8") == 2
