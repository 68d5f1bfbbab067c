"""Which layer of the source model an operation comes from, by Vela's debug database.

A compiled model does not say: its operators are called `ethos-u`, whatever they were before. With
`--enable-debug-db`, Vela writes `<model>_debug.xml` next to it: tables of comma-separated values.
`queue` has the byte offsets of operations in the command streams, `optimised` says what each was
made from, and `source` has the operators of the model that Vela was given. Regor's `perf` also has
names.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from xml.etree import ElementTree

from bench.core.errors import ModelError
from bench.core.files import read_regular
from bench.core.text import one_line
from targets.artefact.model import Artefact
from targets.artefact.stream.operations import BlockOperation, Operation
from targets.ethos_u55.command_stream import WORD_BYTES

__all__ = [
    "Layer",
    "Layers",
    "check_layers",
    "debug_database",
    "read_layers",
    "with_layers",
]

_MODEL_SUFFIX = "_vela"
#: The largest database that is read, in bytes; large networks have a few million.
_DATABASE_BYTES_MAX = 256 << 20
_DATABASE_SUFFIX = "_debug.xml"

_Rows: TypeAlias = list[dict[str, str]]


@dataclass(frozen=True)
class Layer:
    """An operator of the model that was compiled."""

    #: Its position among them.
    index: int
    #: Vela's name of the kind, such as `Conv2D`.
    operator: str
    #: The name of its result; empty if the database has none.
    name: str

    def __str__(self) -> str:
        return f"layer {self.index}: {self.operator}{'  ' if self.name else ''}{self.name}"


#: For each `ethos-u` operator, in order: word of an operation -> its layer.
Layers: TypeAlias = tuple[Mapping[int, Layer], ...]


def debug_database(model: Path) -> Path:
    """Where Vela puts the database of the compiled model at `model`."""
    return model.with_name(model.stem.removesuffix(_MODEL_SUFFIX) + _DATABASE_SUFFIX)


def read_layers(path: Path) -> Layers:
    """Read a debug database. Raises `ModelError` when it is missing, damaged or something else."""
    try:
        tables = {
            str(table.get("name")): _rows(table.text or "")
            for table in ElementTree.fromstring(read_regular(path, _DATABASE_BYTES_MAX)).iter(
                "table"
            )
        }
        return tuple(_streams(tables))
    except OSError as error:
        raise ModelError(
            f"cannot read the debug database {path}: {error.strerror or error}",
            cure="compile the model with --enable-debug-db",
        ) from error
    except (ElementTree.ParseError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise ModelError(
            f"{path} is not a debug database from Vela: {error!r}",
            cure="compile the model again with --enable-debug-db",
        ) from error


def check_layers(artefact: Artefact, layers: Layers) -> None:
    """Raise `ModelError` unless `layers` belong to `artefact` (or there are none)."""
    words = [
        {operation.word for operation in operator.operations} for operator in artefact.npu_operators
    ]
    fits = len(layers) == len(words) and all(
        set(named) <= known for named, known in zip(layers, words, strict=True)
    )
    if layers and not fits:
        raise ModelError(
            f"the debug database does not belong to {artefact.name}: it names other operations",
            cure="compile the model again with --enable-debug-db, or remove the database",
        )


def with_layers(
    operations: Sequence[Operation], layers: Mapping[int, Layer]
) -> Iterator[tuple[Operation, Layer | None]]:
    """Each operation with its layer; transfers and waits belong to what follows them."""
    layer: Layer | None = None
    paired: list[tuple[Operation, Layer | None]] = []
    for operation in reversed(operations):
        if isinstance(operation, BlockOperation) or operation.word in layers:
            layer = layers.get(operation.word)
        paired.append((operation, layer))
    return reversed(paired)


def _rows(text: str) -> _Rows:
    return list(csv.DictReader(text.strip().splitlines()))


def _streams(tables: Mapping[str, _Rows]) -> Iterator[Mapping[int, Layer]]:
    origins = {row["id"]: row["source_id"] for row in tables["optimised"]}
    # The last of a layer's operations gives its result.
    names = {row["source_id"]: row["name"] for row in tables.get("perf", [])}
    sources = {row["id"]: row for row in tables["source"]}
    streams: dict[int, dict[int, Layer]] = {int(row["id"]): {} for row in tables["cmdstream"]}
    for row in tables["queue"]:
        origin = origins[row["optimised_id"]]
        if origin in sources:
            source = sources[origin]
            # A converter joins the names of all fused operators; the first is that of the result.
            name = names.get(origin, "").split(";")[0]
            layer = Layer(int(source["ext_key"]), one_line(source["operator"]), one_line(name))
            streams[int(row["cmdstream_id"])][int(row["offset"]) // WORD_BYTES] = layer
    for _, stream in sorted(streams.items()):
        yield stream
