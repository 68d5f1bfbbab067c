"""The splits of a recipe's data: whatever form they have, taken in blocks, checked and stored.

`data()` returns a dict with `train`, `test` and perhaps `calibration`. Each of them is

- `(inputs, labels)`, arrays `[n, ...]`; `inputs` may be a tuple of arrays, or a dict by input name;
- `inputs` alone, for `calibration`;
- a `tf.data.Dataset` of such pairs, in batches or not;
- a function that returns an iterator of single pairs, for data that does not fit into memory.

See `models.reading.storing` for how they are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from bench.core.arrays import Array, row_slices
from bench.core.errors import BuildError
from bench.core.schema import StrictModel, suggest

__all__ = ["SPLITS", "Block", "InputSpec", "Split", "splits_of"]

#: In the order in which they are used.
SPLITS = ("train", "calibration", "test")

#: Bytes and samples of a block of single samples.
_BLOCK_BYTES = 4 << 20
_BLOCK_SAMPLES = 1024


class InputSpec(StrictModel):
    """An input of the Keras model."""

    name: str
    #: Without the batch dimension; None is any length.
    shape: tuple[int | None, ...]
    dtype: str


#: The inputs and the labels of some samples: an array each, `[m, ...]`.
Block: TypeAlias = tuple[tuple[Array, ...], tuple[Array, ...]]


@dataclass(frozen=True)
class Split:
    """A split as the recipe gave it. Going through it again gives the same, or it is refused."""

    name: str
    #: For messages: `my_recipe: data()["train"]`.
    place: str
    blocks: Callable[[], Iterable[Block]] = field(repr=False)


def splits_of(found: Any, name: str, specs: Sequence[InputSpec]) -> dict[str, Split]:
    """The splits that `data()` of the recipe `name` returned, for a model with inputs `specs`.

    Without `specs` the inputs are stored in the order and the types in which they come.

    Raises `BuildError` if it is no dict of splits.
    """
    if not isinstance(found, Mapping):
        raise BuildError(
            f"{name}: data() returned {_kind(found)}, not a dict",
            cure='return {"train": (inputs, labels), "test": (inputs, labels)}',
        )
    for key in found:
        if key not in SPLITS:
            raise BuildError(
                f"{name}: data() returned the unknown split {key!r}",
                cure=suggest(str(key), SPLITS),
            )
    for needed in ("train", "test"):
        if needed not in found:
            raise BuildError(f'{name}: data() returned no "{needed}"')
    given = {"calibration": found["train"], **found}
    return {key: _split(key, given[key], f'{name}: data()["{key}"]', specs) for key in SPLITS}


def _split(key: str, value: Any, place: str, specs: Sequence[InputSpec]) -> Split:
    if hasattr(value, "element_spec"):
        return Split(key, place, lambda: _of_dataset(value, place, specs))
    if hasattr(value, "__next__"):
        raise BuildError(
            f"{place}: is a generator, which can be gone through only once",
            cure="give the function that makes it, without calling it",
        )
    if callable(value):
        return Split(key, place, lambda: _of_samples(value(), place, specs))
    pair = value if isinstance(value, (tuple, list)) and len(value) == 2 else (value, None)
    inputs = tuple(np.asarray(array) for array in _parts(pair[0], place, specs))
    labels = () if pair[1] is None else tuple(np.asarray(a) for a in _several(pair[1]))
    lengths = [array.shape[0] if array.ndim else None for array in (*inputs, *labels)]
    if len(set(lengths)) != 1 or None in lengths:
        raise BuildError(
            f"{place}: has {' and '.join(str(list(a.shape)) for a in inputs)} inputs and "
            f"{' and '.join(str(list(a.shape)) for a in labels) or 'no'} labels",
            cure="inputs and labels need the same number of samples, as the first dimension",
        )
    return Split(key, place, lambda: _of_arrays(inputs, labels, place, specs))


def _several(value: Any) -> tuple[Any, ...]:
    """The arrays in a tuple or dict of them; a list is data."""
    if isinstance(value, Mapping):
        return tuple(value.values())
    return tuple(value) if isinstance(value, tuple) else (value,)


def _parts(value: Any, place: str, specs: Sequence[InputSpec]) -> tuple[Any, ...]:
    """One value for each input of the model, in its order; in the given one if nothing is known."""
    if not specs:
        return _several(value)
    if isinstance(value, Mapping):
        names = [spec.name for spec in specs]
        if set(value) != set(names):
            raise BuildError(
                f"{place}: has inputs called {', '.join(map(str, value))}; the model's are "
                f"{', '.join(names)}"
            )
        return tuple(value[name] for name in names)
    parts = _several(value)
    if len(parts) != len(specs):
        raise BuildError(f"{place}: has {len(parts)} inputs, and the model has {len(specs)}")
    return parts


def _of_arrays(
    inputs: tuple[Array, ...], labels: tuple[Array, ...], place: str, specs: Sequence[InputSpec]
) -> Iterator[Block]:
    row_bytes = sum(array[:1].nbytes for array in (*inputs, *labels))
    for part in row_slices(len(inputs[0]), row_bytes, _BLOCK_BYTES):
        yield _typed(tuple(a[part] for a in inputs), tuple(a[part] for a in labels), place, specs)


def _of_samples(samples: Iterable[Any], place: str, specs: Sequence[InputSpec]) -> Iterator[Block]:
    """Blocks of single samples: `(inputs, labels)`, or inputs alone."""
    gathered: list[tuple[tuple[Any, ...], tuple[Any, ...]]] = []
    size = 0
    for sample in samples:
        pair = sample if isinstance(sample, tuple) and len(sample) == 2 else (sample, None)
        parts = tuple(np.asarray(part) for part in _parts(pair[0], place, specs))
        answers = () if pair[1] is None else tuple(np.asarray(a) for a in _several(pair[1]))
        gathered.append((parts, answers))
        size += sum(part.nbytes for part in parts)
        if size >= _BLOCK_BYTES or len(gathered) >= _BLOCK_SAMPLES:
            yield _stacked(gathered, place, specs)
            gathered, size = [], 0
    if gathered:
        yield _stacked(gathered, place, specs)


def _stacked(
    samples: Sequence[tuple[tuple[Any, ...], tuple[Any, ...]]],
    place: str,
    specs: Sequence[InputSpec],
) -> Block:
    try:
        inputs = tuple(np.stack(column) for column in zip(*(s[0] for s in samples), strict=True))
        labels = tuple(np.stack(column) for column in zip(*(s[1] for s in samples), strict=True))
    except ValueError as error:
        raise BuildError(
            f"{place}: its samples differ in shape: {error}",
            cure="the NPU has fixed shapes: crop or pad them to one",
        ) from error
    return _typed(inputs, labels, place, specs)


def _of_dataset(dataset: Any, place: str, specs: Sequence[InputSpec]) -> Iterator[Block]:
    """Blocks of a `tf.data.Dataset`, which has batches if its elements have one more dimension."""
    element = dataset.element_spec
    first = _parts(element[0] if isinstance(element, tuple) else element, place, specs)[0]
    rank = first.shape.rank
    if rank == len(specs[0].shape):
        yield from _of_samples(dataset.as_numpy_iterator(), place, specs)
        return
    for batch in dataset.as_numpy_iterator():
        pair = batch if isinstance(batch, tuple) and len(batch) == 2 else (batch, None)
        labels = () if pair[1] is None else _several(pair[1])
        yield _typed(_parts(pair[0], place, specs), labels, place, specs)


def _typed(
    inputs: Sequence[Array], labels: Sequence[Array], place: str, specs: Sequence[InputSpec]
) -> Block:
    """In the types in which they are stored: inputs in the model's, labels int64 or float32."""
    return (
        tuple(
            _as(array, dtype, f"{place}, input {index}")
            for index, (array, dtype) in enumerate(zip(inputs, _types(inputs, specs), strict=True))
        ),
        tuple(_as(array, np.dtype(_label_type(array)), f"{place}, labels") for array in labels),
    )


def _types(inputs: Sequence[Array], specs: Sequence[InputSpec]) -> list[np.dtype[Any]]:
    if not specs:
        return [np.dtype("float32") if a.dtype.kind == "f" else a.dtype for a in inputs]
    return [np.dtype(spec.dtype) for spec in specs]


def _label_type(labels: Array) -> str:
    return "int64" if labels.dtype.kind in "biu" else "float32"


def _as(array: Array, dtype: np.dtype[Any], place: str) -> Array:
    if array.dtype.kind not in "biuf":
        raise BuildError(f"{place}: holds {array.dtype}, not numbers")
    if dtype.kind in "iu" and array.dtype.kind == "f":
        raise BuildError(f"{place}: holds {array.dtype}, and the model takes {dtype}")
    return np.ascontiguousarray(array, dtype)


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
