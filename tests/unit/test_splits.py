"""The splits of a recipe's data, in every form in which users have them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.arrays import Array
from bench.core.errors import BuildError
from models.reading.splits import InputSpec, Split, splits_of
from models.reading.storing import SplitFacts, read_rows, survey_split, write_split
from tests.support.private_memory import watching_memory

ONE = (InputSpec(name="x", shape=(3, 2), dtype="float32"),)
TWO = (
    InputSpec(name="left", shape=(3,), dtype="float32"),
    InputSpec(name="right", shape=(2,), dtype="int32"),
)


def train_of(value: Any, specs: tuple[InputSpec, ...] = ONE) -> Split:
    return splits_of({"train": value, "test": value}, "kws.py", specs)["train"]


class Dataset:
    """What a `tf.data.Dataset` is to the bench: the forms of its elements, and the elements."""

    def __init__(self, elements: list[Any]) -> None:
        class Spec:
            def __init__(self, array: Array) -> None:
                self.shape = type("Shape", (), {"rank": np.ndim(array)})()

        x, y = elements[0]
        self.element_spec = (Spec(x), Spec(y))
        self._elements = elements

    def as_numpy_iterator(self) -> Iterator[Any]:
        return iter(self._elements)


def forms(x: Array, y: Array) -> dict[str, Any]:
    return {
        "arrays": (x, y),
        "lists": [x.tolist(), y.tolist()],
        "function": lambda: zip(x, y, strict=True),
        "by name": ({"x": x}, y),
        "data set": Dataset(list(zip(x, y, strict=True))),
        "batches": Dataset([(x[:5], y[:5]), (x[5:], y[5:])]),
    }


@pytest.mark.parametrize("form", ["arrays", "lists", "function", "by name", "data set", "batches"])
def test_every_form_is_the_same_data(form: str, tmp_path: Path) -> None:
    x = np.arange(42, dtype=np.float64).reshape(7, 3, 2)
    y = np.arange(7, dtype=np.uint8)
    split = train_of(forms(x, y)[form])
    facts = write_split(split, tmp_path / "train.npz")
    assert facts == survey_split(split) == survey_split(train_of((x, y)))
    rows = read_rows(tmp_path / "train.npz")
    np.testing.assert_array_equal(rows.inputs[0], x.astype(np.float32))
    np.testing.assert_array_equal(rows.labels[0], y)
    assert [a.dtype.name for a in (*rows.inputs, *rows.labels)] == ["float32", "int64"]
    # As NumPy writes it, and nothing beside it.
    np.savez(tmp_path / "by_numpy.npz", inputs=rows.inputs[0], labels=rows.labels[0])
    assert (tmp_path / "by_numpy.npz").read_bytes() == (tmp_path / "train.npz").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_several_inputs_and_outputs_keep_their_order(tmp_path: Path) -> None:
    left, right = np.ones((4, 3)), np.arange(8).reshape(4, 2)
    labels = (np.zeros(4, np.int8), np.full((4, 5), 0.5))
    named = train_of(({"right": right, "left": left}, labels), TWO)
    facts = write_split(named, tmp_path / "train.npz")
    assert facts == survey_split(train_of(((left, right), labels), TWO))
    rows = read_rows(tmp_path / "train.npz")
    assert [a.dtype.name for a in (*rows.inputs, *rows.labels)] == [
        *("float32", "int32", "int64", "float32")
    ]
    np.testing.assert_array_equal(rows.inputs[1], right)
    assert [array.row for array in facts.labels] == [(), (5,)]


@given(st.integers(0, 20), st.floats(-1e3, 1e3))
def test_any_change_of_a_value_changes_the_hash(place: int, value: float) -> None:
    x, y = np.zeros((7, 3, 2), np.float32), np.zeros(7, np.int64)
    before = survey_split(train_of((x, y))).sha256
    changed = x.copy()
    changed.reshape(-1)[place] = value
    same = changed.tobytes() == x.tobytes()
    assert (survey_split(train_of((changed, y))).sha256 == before) == same


def test_calibration_is_the_training_data_unless_it_is_given() -> None:
    x, y = np.ones((4, 3, 2)), np.zeros(4, int)
    both = splits_of({"train": (x, y), "test": (x, y)}, "kws.py", ONE)
    assert survey_split(both["calibration"]).samples == 4
    given_ = splits_of({"train": (x, y), "test": (x, y), "calibration": x[:2]}, "kws.py", ONE)
    assert survey_split(given_["calibration"]).samples == 2


X: Array = np.zeros((4, 3, 2))
Y: Array = np.zeros(4, int)


def with_nan() -> Array:
    x: Array = X.copy()
    x[2, 1, 0] = np.nan
    return x


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: None, "returned nothing, not a dict"),
        (lambda: (X, Y), "returned a tuple, not a dict"),
        (lambda: {"train": (X, Y), "tset": (X, Y)}, "did you mean 'test'?"),
        (lambda: {"train": (X, Y)}, 'no "test"'),
        (lambda: {"train": (X, Y[:3]), "test": (X, Y)}, "same number of samples"),
        (lambda: {"train": (X[:0], Y[:0]), "test": (X, Y)}, "has no samples"),
        (lambda: {"train": lambda: iter(()), "test": (X, Y)}, '"train"]: has no samples'),
        (lambda: {"train": (with_nan(), Y), "test": (X, Y)}, "sample 2 has a value that is not"),
        (lambda: {"train": (X, np.full(4, np.inf)), "test": (X, Y)}, "not finite"),
        (lambda: {"train": ((X, X), Y), "test": (X, Y)}, "has 2 inputs, and the model has 1"),
        (lambda: {"train": ({"y": X}, Y), "test": (X, Y)}, "the model's are x"),
        (lambda: {"train": iter(X), "test": (X, Y)}, "only once"),
        (lambda: {"train": (X.astype(str), Y), "test": (X, Y)}, "not numbers"),
        (
            lambda: {"train": lambda: iter([(X[0], 0), (X[0, :2], 1)]), "test": (X, Y)},
            "its samples differ in shape",
        ),
    ],
)
def test_what_is_no_data_is_one_message_that_names_the_split(
    make: Callable[[], Any], told: str
) -> None:
    def gone_through() -> None:
        for split in splits_of(make(), "kws.py", ONE).values():
            survey_split(split)

    with pytest.raises(BuildError) as caught:
        gone_through()
    assert told in str(caught.value)
    assert "kws.py: data()" in str(caught.value)


def test_integers_for_a_float_model_are_floats_and_floats_for_an_integer_model_are_refused() -> (
    None
):
    images = np.full((4, 3, 2), 255, np.uint8)
    assert survey_split(train_of((images, Y))).inputs[0].dtype == "float32"
    words = (InputSpec(name="words", shape=(3, 2), dtype="int32"),)
    with pytest.raises(BuildError, match="holds float64, and the model takes int32"):
        survey_split(train_of((X, Y), words))


def test_a_stream_larger_than_memory_is_never_in_memory(tmp_path: Path) -> None:
    """128 MiB, one sample at a time."""
    side, samples = 96, 1200
    specs = (InputSpec(name="x", shape=(side, side, 3), dtype="float32"),)
    sample = np.ones((side, side, 3), np.uint8)

    def stream() -> Iterator[tuple[Array, int]]:
        return ((sample, index % 10) for index in range(samples))

    with watching_memory(os.getpid()) as watch:
        watch.look()
        before = watch.largest
        facts: SplitFacts = write_split(train_of(stream, specs), tmp_path / "train.npz")
    assert facts.samples == samples
    assert (tmp_path / "train.npz").stat().st_size > 120 << 20
    assert watch.largest - before < 40 << 20
    assert read_rows(tmp_path / "train.npz").labels[0][-1] == (samples - 1) % 10
