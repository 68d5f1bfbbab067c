"""Vela's debug database: which operation of a command stream was made from what.

With `--enable-debug-db`, Vela writes `<model>_debug.xml` next to the compiled model: tables of
comma-separated values in CDATA. It escapes nothing, and a tensor's name may hold quotes, line ends
or markup. So the file is read line by line and not as XML. Names stand only in `perf`, and of each
table the last one counts: Vela writes those without names after it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import ModelError
from bench.core.files import read_regular
from bench.core.text import one_line
from targets.ethos_u55.command_stream import WORD_BYTES

__all__ = ["Origin", "Performance", "Source", "Streams", "debug_database", "read_database"]

_MODEL_SUFFIX = "_vela"
_DATABASE_SUFFIX = "_debug.xml"
#: The largest database that is read, in bytes; large networks have a few million.
_DATABASE_BYTES_MAX = 256 << 20
_CURE = "compile the model again with --enable-debug-db"

_TABLE = re.compile(r"^\s*<table name=[\"'](\w+)[\"']>", re.MULTILINE)
#: A row of `perf` begins with three ids and a kind; every other line continues a name.
_PERF_ROW = re.compile(r'^"?-?\d+"?,"?-?\d*"?,"?-?\d*"?,"')

_COUNT = re.compile(r"[0-9]{1,19}")

_Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Source:
    """An operator of the model that was compiled."""

    #: Vela's number of it; operators of several subgraphs have several.
    number: int
    #: Its position among the operators of its subgraph.
    index: int
    #: Vela's name of the kind, such as `Conv2D`.
    operator: str


@dataclass(frozen=True)
class Performance:
    """A row of Vela's estimate: what it scheduled as one."""

    #: Its place among the rows.
    row: int
    #: The name of the tensor that it writes.
    tensor: str
    #: Vela's estimate; 0 for what is fused into another row.
    cycles: int


@dataclass(frozen=True)
class Origin:
    """What an operation of a command stream was made from."""

    #: None if Vela does not say.
    source: Source | None
    #: Vela's own kind, such as `Mul` for a step of a softmax.
    operator: str
    #: None if there is no such row: of Vela's older core, and of the first of several subgraphs.
    performance: Performance | None

    @property
    def tensor(self) -> str:
        """The name of the tensor that it writes; empty if it is not known."""
        return "" if self.performance is None else self.performance.tensor


@dataclass(frozen=True)
class Streams:
    """A debug database."""

    #: All operators, those of the first subgraph first.
    sources: tuple[Source, ...]
    #: For each command stream: index of an operation's word -> its origin.
    operations: tuple[Mapping[int, Origin], ...]
    #: The name of what each operator gives, by `Source.number`: what the last of its rows writes.
    results: Mapping[int, str]


def debug_database(model: Path) -> Path:
    """Where Vela puts the database of the compiled model at `model`."""
    return model.with_name(model.stem.removesuffix(_MODEL_SUFFIX) + _DATABASE_SUFFIX)


def read_database(path: Path) -> Streams:
    """Read a debug database. Raises `ModelError` when it is missing, damaged or something else."""
    try:
        return _streams(_tables(read_regular(path, _DATABASE_BYTES_MAX).decode("utf-8", "replace")))
    except OSError as error:
        raise ModelError(
            f"cannot read the debug database {path}: {error.strerror or error}", cure=_CURE
        ) from error
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise ModelError(
            f"{path} is not a debug database from Vela: {error!r}", cure=_CURE
        ) from error


def _tables(text: str) -> dict[str, str]:
    """The text of each table, with its header."""
    starts = list(_TABLE.finditer(text))
    ends = [start.start() for start in starts[1:]] + [len(text)]
    return {
        start[1]: _content(text[start.end() : end]) for start, end in zip(starts, ends, strict=True)
    }


def _content(text: str) -> str:
    inside = text.rpartition("</table>")[0].strip()
    return inside.removeprefix("<![CDATA[").removesuffix("]]>").strip("\n")


def _rows(text: str) -> _Rows:
    return list(csv.DictReader(text.strip().splitlines()))


def _streams(tables: Mapping[str, str]) -> Streams:
    sources = {
        row["id"]: Source(int(row["id"]), int(row["ext_key"]), one_line(row["operator"]))
        for row in _rows(tables["source"])
    }
    optimised = {row["id"]: row for row in _rows(tables["optimised"])}
    performances, results = _performances(tables.get("perf", ""), sources)
    streams: dict[int, dict[int, Origin]] = {
        int(row["id"]): {} for row in _rows(tables["cmdstream"])
    }
    for row in _rows(tables["queue"]):
        made = optimised[row["optimised_id"]]
        streams[int(row["cmdstream_id"])][int(row["offset"]) // WORD_BYTES] = Origin(
            sources.get(made["source_id"]),
            one_line(made["operator"]),
            performances.get(row.get("scheduled_id", "")),
        )
    return Streams(
        tuple(sources.values()), tuple(stream for _, stream in sorted(streams.items())), results
    )


def _performances(
    text: str, sources: Mapping[str, Source]
) -> tuple[dict[str, Performance], dict[int, str]]:
    """The rows of `perf` by their ids, and the name of each source's result."""
    found: dict[str, Performance] = {}
    results: dict[int, str] = {}
    for place, row in enumerate(_perf_rows(text)):
        tensor = one_line(row["name"])
        if not _COUNT.fullmatch(row["op_cycles"]):
            continue
        found[row["id"]] = Performance(place, tensor, int(row["op_cycles"]))
        source = sources.get(row["source_id"])
        if source is not None:
            results[source.number] = tensor
    return found, results


def _perf_rows(text: str) -> Iterator[dict[str, str]]:
    """The rows; everything between the columns before and after the name is the name."""
    # Not splitlines(): it would also split at the line separators Unicode has.
    header, _, body = text.partition("\n")
    columns = header.replace('"', "").split(",")
    if not body:
        return
    before, after = columns.index("name"), len(columns) - columns.index("name") - 1
    records: list[str] = []
    for line in body.split("\n"):
        if _PERF_ROW.match(line) or not records:
            records.append(line)
        else:
            records[-1] += "\n" + line
    for record in records:
        first = record.split(",", before)
        last = first[-1].rsplit(",", after)
        values = [*first[:-1], *last]
        # A name may look like the end of the table, or like a row. Then its row is lost.
        if len(values) == len(columns):
            yield {
                column: value.removeprefix('"').removesuffix('"')
                for column, value in zip(columns, values, strict=True)
            }
