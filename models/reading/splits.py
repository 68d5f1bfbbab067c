"""The splits of a recipe's data: whatever form they have, taken in blocks, checked and stored.

`data()` returns a dict with `train`, `test` and perhaps `calibration`. Each of them is

- `(inputs, labels)`, arrays `[n, ...]`; `inputs` may be a tuple of arrays, or a dict by input name;
- `inputs` alone, for `calibration`;
- a `tf.data.Dataset` of such pairs, in batches or not;
- a function that returns an iterator of single pairs, for data that does not fit into memory.

A stored split is an archive (`.npz`) of `inputs` (or `inputs_0`, `inputs_1`, ...) and `labels` (or
`labels_0`, ...), from which arrays are mapped. Only a block of it is ever in memory.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.arrays import Array, row_slices
from bench.core.errors import BuildError
from bench.core.npz import map_array, read_members
from bench.core.schema import StrictModel, suggest

__all__ = [
    "SPLITS",
    "ArrayFacts",
    "InputSpec",
    "Rows",
    "Split",
    "SplitFacts",
    "read_rows",
    "splits_of",
    "survey_split",
    "write_split",
]

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


class ArrayFacts(StrictModel):
    """An array of a split, as it is stored."""

    #: Without the first dimension.
    row: tuple[int, ...]
    dtype: str
    least: float
    most: float


class SplitFacts(StrictModel):
    """What is known of a split when all of it was seen."""

    samples: int
    inputs: tuple[ArrayFacts, ...]
    labels: tuple[ArrayFacts, ...]
    sha256: str


#: The inputs and the labels of some samples: an array each, `[m, ...]`.
Block = tuple[tuple[Array, ...], tuple[Array, ...]]


@dataclass(frozen=True)
class Split:
    """A split as the recipe gave it. Going through it again gives the same, or it is refused."""

    name: str
    #: For messages: `kws.py: data()["train"]`.
    place: str
    blocks: Callable[[], Iterable[Block]] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Rows:
    """A stored split: arrays `[n, ...]`, mapped and read-only."""

    inputs: tuple[Array, ...]
    labels: tuple[Array, ...]

    def __len__(self) -> int:
        return len(self.inputs[0])


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


@dataclass
class _Column:
    """An array that goes by in blocks."""

    place: str
    row: tuple[int, ...] | None = None
    dtype: str = ""
    least: float = float("inf")
    most: float = float("-inf")
    rows: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def see(self, block: Array) -> None:
        if self.row is None:
            self.row, self.dtype = block.shape[1:], block.dtype.name
            self.digest.update(f"{block.dtype.str}{self.row}".encode())
        if (block.shape[1:], block.dtype.name) != (self.row, self.dtype):
            raise BuildError(
                f"{self.place}: sample {self.rows} is {block.dtype} {list(block.shape[1:])}, those "
                f"before are {self.dtype} {list(self.row)}"
            )
        if block.dtype.kind == "f" and not np.isfinite(block).all():
            bad = int(np.flatnonzero(~np.isfinite(block).reshape(len(block), -1).all(axis=1))[0])
            raise BuildError(
                f"{self.place}: sample {self.rows + bad} has a value that is not finite",
                cure="remove or mend it: a NaN in training makes every weight NaN",
            )
        if block.size:
            self.least = min(self.least, float(block.min()))
            self.most = max(self.most, float(block.max()))
        self.rows += len(block)
        self.digest.update(np.ascontiguousarray(block).data)

    def facts(self) -> ArrayFacts:
        assert self.row is not None
        return ArrayFacts(row=self.row, dtype=self.dtype, least=self.least, most=self.most)


def survey_split(split: Split, keep: Callable[[Block], None] | None = None) -> SplitFacts:
    """Go through all of `split`. `keep` is given each block.

    Raises `BuildError`, which names the sample, if it is empty, changes its shape, or has a value
    that is not finite.
    """
    columns: tuple[list[_Column], list[_Column]] = ([], [])
    for block in split.blocks():
        for kind, (known, arrays) in enumerate(zip(columns, block, strict=True)):
            if not known:
                known += [_Column(f"{split.place}{_of(kind, i)}") for i in range(len(arrays))]
            for column, array in zip(known, arrays, strict=True):
                column.see(array)
        if keep is not None:
            keep(block)
    inputs, labels = columns
    if not inputs or not inputs[0].rows:
        raise BuildError(f"{split.place}: has no samples")
    digest = hashlib.sha256()
    for column in (*inputs, *labels):
        digest.update(f"{column.rows} {column.digest.hexdigest()}\n".encode())
    return SplitFacts(
        samples=inputs[0].rows,
        inputs=tuple(column.facts() for column in inputs),
        labels=tuple(column.facts() for column in labels),
        sha256=digest.hexdigest(),
    )


def _of(kind: int, index: int) -> str:
    return ", labels" if kind else f", input {index}"


def write_split(split: Split, path: Path) -> SplitFacts:
    """Store `split` at `path`; the same split gives the same bytes.

    Raises `BuildError` like `survey_split`, and `OSError` if the disk fails.
    """
    with ExitStack() as stack:
        streams: dict[str, Any] = {}

        def keep(block: Block) -> None:
            for name, array in _named(block):
                if name not in streams:
                    streams[name] = stack.enter_context((path.parent / f".{name}").open("w+b"))
                streams[name].write(array.data)

        facts = survey_split(split, keep)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, array in _headers(facts):
                # As `numpy.savez` writes it, which dates every member 1980.
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array_header_1_0(member, array)
                    stream = streams[name]
                    stream.seek(0)
                    while piece := stream.read(_BLOCK_BYTES):
                        member.write(piece)
                (path.parent / f".{name}").unlink()
    return facts


def _named(block: Block) -> Iterator[tuple[str, Array]]:
    for kind, arrays in zip(("inputs", "labels"), block, strict=True):
        for index, array in enumerate(arrays):
            yield (kind if len(arrays) == 1 else f"{kind}_{index}"), array


def _headers(facts: SplitFacts) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, arrays in (("inputs", facts.inputs), ("labels", facts.labels)):
        for index, array in enumerate(arrays):
            yield (
                kind if len(arrays) == 1 else f"{kind}_{index}",
                {
                    "descr": np.lib.format.dtype_to_descr(np.dtype(array.dtype)),
                    "fortran_order": False,
                    "shape": (facts.samples, *array.row),
                },
            )


def read_rows(path: Path) -> Rows:
    """The split that `write_split` stored at `path`."""
    with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        members = read_members(archive, stream)
    arrays: dict[str, list[Array]] = {"inputs": [], "labels": []}
    for name, member in members.items():
        assert member.place is not None, "write_split packs nothing"
        arrays[name.split("_")[0]].append(map_array(path, member.place, member.header))
    return Rows(tuple(arrays["inputs"]), tuple(arrays["labels"]))
