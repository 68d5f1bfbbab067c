"""A run as CSV and as Parquet: a row for each figure."""

from __future__ import annotations

import csv
import io
from dataclasses import astuple
from pathlib import Path
from typing import Any

from bench.core.errors import PrerequisiteError
from bench.report.exports.rows import FigureRow, columns, figure_rows
from bench.report.run_view import RunView

__all__ = ["csv_text", "write_parquet"]

#: With these a spreadsheet begins a formula.
_FORMULA = ("=", "+", "-", "@")


def csv_text(view: RunView) -> str:
    """The table as CSV, UTF-8, with a line of names; a missing figure is an empty field.

    Text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns())
    writer.writerows(_plain(row) for row in figure_rows(view))
    return stream.getvalue()


def _plain(row: FigureRow) -> list[object]:
    return [
        f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
        for value in astuple(row)
    ]


def write_parquet(view: RunView, path: Path) -> None:
    """Write the table as Parquet. Raises `PrerequisiteError` without pyarrow."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise PrerequisiteError(
            "pyarrow is not installed, which writes Parquet",
            cure="pip install 'ethos-u55-bench[export]', or export CSV",
        ) from error
    types: dict[str, Any] = {
        "int": arrow.int32(),
        "bool": arrow.bool_(),
        "float | None": arrow.float64(),
        "str": arrow.string(),
    }
    kinds = FigureRow.__annotations__
    schema = arrow.schema([(name, types[kinds[name]]) for name in columns()])
    rows = [dict(zip(columns(), astuple(row), strict=True)) for row in figure_rows(view)]
    parquet.write_table(arrow.Table.from_pylist(rows, schema=schema), path, compression="zstd")
