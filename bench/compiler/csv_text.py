"""The two dialects of Vela's CSV files, as tables of checked values.

The summary is proper CSV. The per-layer file is not: Vela joins its fields with commas and quotes
nothing, and the last field is a tensor's name, which may contain commas, quotes, even line ends. So
a record is recognised by its first fifteen fields, and everything up to the next record is the
name.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.core.errors import CompilerError
from bench.core.text import one_line

__all__ = ["LAYER_COLUMNS", "Table", "checked_table", "parse_layers", "parse_summary"]

#: The per-layer columns of Vela 5.2.0. The file can be read only because `Name` is last.
LAYER_COLUMNS = (
    "Original Operator",
    "NNG Operator",
    "Target",
    "Staging Usage",
    "Peak% (Staging)",
    "Op Cycles",
    "Network% (cycles)",
    "NPU",
    "SRAM AC",
    "DRAM AC",
    "OnFlash AC",
    "OffFlash AC",
    "MAC Count",
    "Network% (MAC)",
    "Util% (MAC)",
    "Name",
)
_INTEGER = re.compile(r"[0-9]{1,19}")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_RECORD_START = re.compile(r"[^,]*,[^,]*,(?:NPU|CPU),[0-9]+,")
_CURE = "use a version of Vela that the bench has a lock file for, or teach bench/compiler this one"


@dataclass(frozen=True)
class Table:
    """Rows of text under named columns, with readers that say where a bad value is."""

    file: str
    vela_version: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def error(self, what: str, column: str = "", row: int | None = None) -> CompilerError:
        """A `CompilerError` naming file, column, row (counted from 1) and Vela's version."""
        where = f", column {column!r}" if column else ""
        where += f", row {row + 1}" if row is not None else ""
        return CompilerError(
            f"{self.file}{where}: {what} (written by Vela {self.vela_version})", cure=_CURE
        )

    def text(self, column: str, row: int = 0) -> str:
        """The field as it is. Raises `CompilerError` if there is no such column."""
        if column not in self.columns:
            raise self.error("there is no such column", column)
        return self.rows[row][self.columns.index(column)]

    def integer(self, column: str, row: int = 0) -> int:
        """A count of zero or more. Raises `CompilerError` for anything else."""
        text = self.text(column, row)
        if not _INTEGER.fullmatch(text):
            raise self.error(f"expected a whole number, found {text!r}", column, row)
        return int(text)

    def number(self, column: str, row: int = 0) -> float:
        """A finite number of zero or more. Raises `CompilerError` for anything else."""
        text = self.text(column, row)
        if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
            raise self.error(f"expected a number, found {text!r}", column, row)
        return float(text)

    def kibibytes(self, column: str, row: int = 0) -> int:
        """A size given in KiB, as bytes.

        Vela divides a whole number of bytes by 1024, which a double holds exactly. So if the
        product is not whole, the column does not hold what it should.
        """
        size = self.number(column, row) * 1024
        if not size.is_integer() or size >= 2**53:
            raise self.error(
                f"expected KiB of whole bytes, found {self.text(column, row)!r}", column, row
            )
        return int(size)


def parse_summary(text: str, file: str, vela_version: str) -> Table:
    """The summary file. Raises `CompilerError` if it is empty or its rows are ragged."""
    table = Table(file, vela_version, (), ())
    try:
        rows = [tuple(row) for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise table.error(f"not a CSV file: {error}") from error
    if not rows:
        raise table.error("the file is empty")
    return checked_table(Table(file, vela_version, rows[0], tuple(rows[1:])))


def parse_layers(text: str, file: str, vela_version: str) -> Table:
    """The per-layer file. Raises `CompilerError` if it is empty or not of the known form.

    A name may contain a line that looks like the start of a record. Such a line is taken for one;
    the checks of values or the operator count then fail.
    """
    table = Table(file, vela_version, (), ())
    # Not splitlines(): it would also split at the line separators Unicode has.
    header, _, body = text.partition("\n")
    if not header.strip():
        raise table.error("the file is empty")
    columns = tuple(header.split(","))
    for column in LAYER_COLUMNS:
        if column not in columns:
            raise table.error("there is no such column", column)
    if columns[-1] != LAYER_COLUMNS[-1] or columns[:3] != LAYER_COLUMNS[:3]:
        raise table.error(f"unknown order of columns: {header!r}")
    lines = body.removesuffix("\n").split("\n") if body else []
    rows = tuple(tuple(record.split(",", len(columns) - 1)) for record in _records(lines, table))
    return checked_table(Table(file, vela_version, columns, rows))


def _records(lines: Sequence[str], table: Table) -> list[str]:
    """The lines; those that only continue a name are joined to their record."""
    records: list[str] = []
    for line in lines:
        if _RECORD_START.match(line):
            records.append(line)
        elif records:
            records[-1] += "\n" + line
        else:
            raise table.error(f"the first line after the header is not a record: {line!r}")
    return records


def checked_table(table: Table) -> Table:
    """The table with its text, including names of tensors, made safe to show.

    Raises `CompilerError` if a column appears twice or a row has another length.
    """
    for column in table.columns:
        if table.columns.count(column) > 1:
            raise table.error("the column appears twice", column)
    for index, row in enumerate(table.rows):
        if len(row) != len(table.columns):
            raise table.error(f"expected {len(table.columns)} fields, found {len(row)}", row=index)
    return replace(table, rows=tuple(tuple(map(one_line, row)) for row in table.rows))
