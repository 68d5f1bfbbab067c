"""Records of a large run in memory: the same, in a third of the room.

What takes the room is what pydantic keeps beside the values: of each model a dictionary and a set
with the names of its fields. A record has some sixty layers, which most reports never look at. So
their values alone are kept, and they are made into models whenever somebody does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, Generic, TypeVar, overload

from bench.compiler import LayerReport
from bench.core.schema import RecordModel
from bench.records.made import made_model, share_names
from bench.records.record import Record
from targets.protocol import LayerCycles

__all__ = ["PackedModels", "lean"]

_Model = TypeVar("_Model", bound=RecordModel)


@cache
def _names(model: type[RecordModel]) -> tuple[str, ...]:
    """The names of its fields, in their order."""
    return tuple(model.model_fields)


class PackedModels(Sequence[_Model], Generic[_Model]):
    """Models of one class, of which only the values are kept. Read-only, as a tuple of them is."""

    __slots__ = ("_model", "_rows")

    def __init__(self, model: type[_Model], rows: tuple[tuple[Any, ...], ...]) -> None:
        """`rows` has the values of all fields of each, in the order of the fields."""
        self._model = model
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> _Model: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[_Model]: ...

    def __getitem__(self, index: int | slice) -> _Model | Sequence[_Model]:
        if isinstance(index, slice):
            return PackedModels(self._model, self._rows[index])
        return self._made(self._rows[index])

    def __iter__(self) -> Iterator[_Model]:
        return map(self._made, self._rows)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (PackedModels, tuple)):
            return tuple(self) == tuple(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def _made(self, row: tuple[Any, ...]) -> _Model:
        fields = dict(zip(_names(self._model), row, strict=True))
        return made_model(self._model, fields)


def lean(record: Record) -> Record:
    """`record`, which was read and which nobody else has, with the same content."""
    report, measured = record.compilation.report, record.measurement
    report.__dict__["layers"] = _packed(LayerReport, report.layers)
    measured.__dict__["layers"] = _packed(LayerCycles, measured.layers)
    share_names(record, record.cell, record.data, record.model, record.compilation, measured)
    share_names(report, report.sram, report.dram, report.on_chip_flash, report.off_chip_flash)
    share_names(record.compilation.options, *record.verdicts)
    share_names(*(verdict.measured for verdict in record.verdicts))
    return record


def _packed(model: type[_Model], layers: Sequence[_Model]) -> PackedModels[_Model]:
    return PackedModels(model, tuple(map(attrgetter(*_names(model)), layers)))
