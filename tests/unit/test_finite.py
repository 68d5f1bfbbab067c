"""NaN and infinity are refused where they enter: in inputs, in labels, in a metric."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench.core.arrays import Array
from bench.core.errors import ModelError
from bench.core.npz import ArrayHeader
from bench.measuring.finite import FiniteCheck
from bench.measuring.scoring.scores import Scored, evaluate
from bench.plan.metrics import AccuracyMetric as Metric
from bench.tflite.model_file import ModelFile, inspect
from tests.support.datasets import load_dataset
from tests.support.models.tflite_factory import Op, Tensor, single_operator


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    source, result = Tensor("x", (1, 3), "int8", 0.5, 0), Tensor("y", (1, 3), "int8", 0.5, 0)
    path = tmp_path / "model.tflite"
    path.write_bytes(single_operator(Op("RELU", (0,), (1,)), [source], [result]))
    return inspect(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["inputs", "labels"])
def test_a_dataset_says_which_value_is_no_number(
    tmp_path: Path, model: ModelFile, name: str, dtype: str, bad: float
) -> None:
    arrays = {"inputs": np.zeros((4, 3), dtype), "labels": np.zeros((4, 3), dtype)}
    arrays[name][2, 1] = arrays[name][3, 0] = bad
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    where = rf"{re.escape(str(path))}: {name}\[2, 1\] is {bad}, and 1 more"
    with pytest.raises(ModelError, match=where):
        load_dataset(path, model)


def test_labels_of_one_dimension_are_indexed_so(tmp_path: Path, model: ModelFile) -> None:
    np.savez(tmp_path / "data.npz", inputs=np.zeros((2, 3)), labels=np.array([0.5, np.nan]))
    with pytest.raises(ModelError, match=r"labels\[1\] is nan\n"):
        load_dataset(tmp_path / "data.npz", model)


@given(
    hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=4), elements=st.floats(width=32)),
    st.integers(1, 7),
    st.booleans(),
)
def test_the_first_value_that_is_no_number_is_named(
    array: Array, piece: int, fortran: bool
) -> None:
    check = FiniteCheck(ArrayHeader(array.shape, array.dtype, fortran))
    stored = array.reshape(-1, order="F" if fortran else "C")
    for start in range(0, stored.size, piece):
        check.see(stored[start : start + piece])
    bad = [index for index, value in np.ndenumerate(array) if not np.isfinite(value)]
    if not bad:
        return check.require_finite("here", "x")
    place = ", ".join(map(str, bad[0]))
    with pytest.raises(ModelError, match=rf"^here: x\[{place}\] is {array[bad[0]]}\b") as caught:
        check.require_finite("here", "x")
    assert (f"{len(bad) - 1:,} more" in caught.value.what) == (len(bad) > 1)
    return None


@pytest.mark.parametrize("label", [1e308, -1e200, 1.7e308])
def test_a_metric_that_overflows_is_an_error_and_no_figure(label: float) -> None:
    labels = np.array([[0.0], [label]])
    with pytest.raises(
        ModelError, match=r"mse is inf: outputs run from -1 to 1, labels from "
    ) as e:
        evaluate(Metric.MSE, Scored(np.array([[-1.0], [1.0]], np.float32), labels))
    assert f"{label:g}" in e.value.what
    assert e.value.cure
