"""Which of a row of versions changed a figure: the search, driven over what can be measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field

from bench.core.errors import BenchError
from bench.core.files import write_atomically
from bench.core.schema import RecordModel
from bench.core.text import one_line
from bench.history.bisection import Outcome, Search, is_bad
from bench.plan.metrics import MetricName, describe
from bench.records.figures import Absent, Number, shown_number
from bench.records.reading import read_record

__all__ = ["Finding", "Measured", "Memory", "Row", "bisect", "read_memory"]


class Measured(RecordModel):
    """What a version gave."""

    figure: Number | Absent = Field(discriminator="kind")
    #: The directory of the run that measured it, below that of the search; empty if there is none.
    run: str = ""


class Row(Protocol):
    """Versions in a row, the good one first and the bad one last."""

    @property
    def names(self) -> tuple[str, ...]:
        """What the versions are called in the search's memory; they never change."""
        ...

    def title(self, position: int) -> str:
        """A version for people, in one line."""
        ...

    def measure(self, position: int) -> Measured:
        """The figure of a version. Raises `BenchError` for what no other version would change."""
        ...


class _Known(RecordModel):
    schema_version: Literal[1] = 1
    cell: str
    metric: MetricName
    #: Name of a version -> what it gave.
    versions: dict[str, Measured] = Field(default_factory=dict)


@dataclass
class Memory:
    """What has been measured for a cell and metric, kept in a file; a search goes on from it."""

    path: Path
    known: _Known

    def note(self, name: str, measured: Measured) -> None:
        """Keep what a version gave. Raises `BenchError` if the file cannot be written."""
        versions = {**self.known.versions, name: measured}
        self.known = self.known.model_copy(update={"versions": versions})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, self.known.model_dump_json(indent=2) + "\n")
        except OSError as error:
            raise BenchError(
                f"{self.path}: cannot be written: {error.strerror}",
                cure="make room, or give access",
            ) from error


def read_memory(path: Path, cell: str, metric: MetricName) -> Memory:
    """The memory in the file at `path`; an empty one if there is no file.

    Raises `BenchError` if the file is damaged or of another search.
    """
    cure = f"remove {path} to begin again"
    try:
        known = read_record(path, _Known)
    except FileNotFoundError:
        return Memory(path, _Known(cell=cell, metric=metric))
    except OSError as error:
        raise BenchError(f"{path}: cannot be read: {error.strerror}", cure=cure) from error
    except ValueError as error:
        raise BenchError(f"{path}: is not the memory of a search: {error}", cure=cure) from None
    if (known.cell, known.metric) != (cell, metric):
        raise BenchError(f"{path}: is that of {known.cell} and {known.metric.value}", cure=cure)
    return Memory(path, known)


@dataclass(frozen=True)
class Finding:
    """The end of a search. Positions are those of the row."""

    last_good: int
    first_bad: int
    #: The positions between them, none of which can be measured: any may be the first bad one.
    unknown: tuple[int, ...]
    good: Measured
    bad: Measured


def bisect(row: Row, metric: MetricName, memory: Memory, tell: Callable[[str], None]) -> Finding:
    """Find the first version whose figure is nearer to that of the last than to that of the first.

    What `memory` knows is not measured again. `tell` gets a line for each step.

    Raises:
        BenchError: an end cannot be measured, or both have the same figure.
    """
    last = len(row.names) - 1
    unit = describe(metric).unit

    def measured(position: int, what: str) -> Measured:
        name = row.names[position]
        known = memory.known.versions.get(name)
        start = time.monotonic()
        if known is None:
            known = row.measure(position)
            memory.note(name, known)
            took = f"({time.monotonic() - start:.0f} s)"
        else:
            took = "(measured before)"
        shown = (
            f"cannot be measured: {known.figure.reason}"
            if isinstance(known.figure, Absent)
            else shown_number(known.figure.value, unit)
        )
        tell(one_line(f"{what} {row.title(position)}: {shown} {took}"))
        return known

    ends = measured(0, "good"), measured(last, "bad ")
    good, bad = (
        _of_end(end.figure, name, row.title(at), memory)
        for end, name, at in zip(ends, ("good", "bad"), (0, last), strict=True)
    )
    if good == bad:
        raise BenchError(
            f"{metric.value} is {shown_number(good, unit)} in {row.title(0)} and in "
            f"{row.title(last)}: nothing changed between them",
            cure="name two versions whose figures differ; `bench compare` shows those of two runs",
        )
    rule = shown_number((good + bad) / 2, unit)
    tell(
        f"a version is bad if it has {'at least' if bad > good else 'at most'} {rule}, halfway "
        "from good to bad"
    )
    search = Search(last, {})
    while (position := search.next_position()) is not None:
        found = measured(position, f"{len(search.untried):4} left")
        if isinstance(found.figure, Absent):
            outcome = Outcome.UNKNOWN
        else:
            outcome = Outcome.BAD if is_bad(found.figure.value, good, bad) else Outcome.GOOD
        search = search.after(position, outcome)
    known = memory.known.versions
    return Finding(
        search.last_good,
        search.first_bad,
        tuple(search.unknown),
        known[row.names[search.last_good]],
        known[row.names[search.first_bad]],
    )


def _of_end(figure: Number | Absent, what: str, title: str, memory: Memory) -> float:
    if isinstance(figure, Absent):
        raise BenchError(
            f"the {what} version {title} cannot be measured: {figure.reason}",
            cure=f"name another one, or mend the cause and remove {memory.path}",
        )
    return figure.value
