"""One look at all values of a data set, a piece at a time: are they numbers, do they fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.core.arrays import Array
from bench.core.rows import steps_of
from bench.core.schema import StrictModel
from bench.measuring.datasets.archive import ArrayArchive
from bench.measuring.datasets.headers import LABELS
from bench.measuring.finite import FiniteCheck
from bench.measuring.quantisation import real_range, saturated
from bench.measuring.scoring.labels import LabelFacts, summarise_labels
from bench.tflite.model_file import TensorInfo

__all__ = ["Survey", "survey"]


class Survey(StrictModel):
    """What all values of a data set come to."""

    #: None if there are no labels.
    labels: LabelFacts | None
    #: Share of the inputs' values that are outside the range of the model's inputs, 0..1; 0 for
    #: inputs in the model's own dtype.
    saturated: float
    #: The given range and the range that the model takes, if some values are saturated.
    ranges: str
    #: How many steps the streams have; None if the inputs are independent rows.
    steps: int | None


def survey(archive: ArrayArchive, inputs: Mapping[str, TensorInfo]) -> Survey:
    """Look at all values of a data set whose headers fit the model; `inputs` as `require_fit`.

    Raises `ModelError`, which names file, array and index, for a value that is not finite, and if
    an array is not what its header says.
    """
    cut = {name: _look(archive, name, tensor) for name, tensor in inputs.items()}
    size = sum(archive.headers[name].size for name in inputs)
    return Survey(
        labels=_labels(archive),
        saturated=sum(range_.outside for range_ in cut.values()) / size,
        ranges="; ".join(
            _ranges(name, cut[name], tensor) for name, tensor in inputs.items() if cut[name].outside
        ),
        steps=steps_of(list(inputs.values()), [archive.headers[name] for name in inputs]),
    )


@dataclass
class _Range:
    """The values of an input, and how many of them are saturated."""

    least: float = float("inf")
    most: float = float("-inf")
    outside: int = 0

    def see(self, piece: Array, tensor: TensorInfo) -> None:
        self.least = min(self.least, float(piece.min()))
        self.most = max(self.most, float(piece.max()))
        self.outside += saturated(piece, tensor.scales[0], tensor.zero_points[0], tensor.dtype)


def _look(archive: ArrayArchive, name: str, tensor: TensorInfo) -> _Range:
    found = _Range()
    for piece in _finite_pieces(archive, name):
        if piece.dtype.kind == "f":
            found.see(piece, tensor)
    return found


def _labels(archive: ArrayArchive) -> LabelFacts | None:
    if LABELS not in archive.members:
        return None
    header = archive.headers[LABELS]
    return summarise_labels(header.shape, header.dtype, _finite_pieces(archive, LABELS))


def _finite_pieces(archive: ArrayArchive, name: str) -> Iterator[Array]:
    """All values of an array; at the end, whether all were finite."""
    check = FiniteCheck(archive.headers[name])
    for piece in archive.pieces(name):
        check.see(piece)
        yield piece
    check.require_finite(f"dataset {archive.path}", name)


def _ranges(name: str, given: _Range, tensor: TensorInfo) -> str:
    low, high = real_range(tensor.scales[0], tensor.zero_points[0], tensor.dtype)
    return (
        f"{name} has values from {given.least:g} to {given.most:g}, "
        f"the model takes {low:.3g} to {high:.3g}"
    )
