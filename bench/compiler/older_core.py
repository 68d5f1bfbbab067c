"""The reports of Vela's older core, as tables of the present one's form.

Vela 4 compiles for an Ethos-U55 with it, and Vela 5 does with `--debug-force-legacy-core`. Its
summary has the same columns, but counts are written as `1872.0`, and cycles may be fractions. Its
per-layer file is proper CSV with other names of columns. It lists what is scheduled on the NPU and
nothing else, under a header for each of the NPU's subgraphs; without one it is empty.
(`stats_writer.py` and `npu_performance.py` of Vela 4.5.0.)
"""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import replace

from bench.compiler.csv_text import LAYER_COLUMNS, Table, checked_table

__all__ = ["is_of_older_core", "older_layers", "older_summary"]

_HEADER = [
    *("TFLite_operator", "NNG Operator", "SRAM Usage", "Peak%", "Op Cycles", "Network%", "NPU"),
    *("SRAM AC", "DRAM AC", "OnFlash AC", "OffFlash AC", "MAC Count", "Network%", "Util%", "Name"),
]
#: The same, named as the present core does. It has no column that says NPU or CPU.
_COLUMNS = tuple(column for column in LAYER_COLUMNS if column != "Target")
#: The columns of counts: all of the per-layer file but texts and shares, and these of the summary.
_LAYER_COUNTS = frozenset(_COLUMNS[2:]) - {"Name", *(c for c in _COLUMNS if "%" in c)}
_SUMMARY_COUNT = re.compile(r"\w+_bytes|cycles_\w+|total_\w+|nn_macs")
_FRACTION = re.compile(r"[0-9]{1,15}\.[0-9]{1,20}")


def is_of_older_core(summary: Table) -> bool:
    """Whether the older core wrote `summary`: only that one writes cycles with a point."""
    return bool(summary.rows) and "." in summary.text("cycles_total")


def older_summary(summary: Table) -> Table:
    """`summary` with counts as whole numbers, rounded half up."""
    counts = {column for column in summary.columns if _SUMMARY_COUNT.fullmatch(column)}
    return _with_whole(summary, counts)


def older_layers(text: str, file: str, vela_version: str) -> Table:
    """The per-layer file. Raises `CompilerError` if it is not of the known form."""
    table = Table(file, vela_version, _COLUMNS, ())
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise table.error(f"not a CSV file: {error}") from error
    if rows and rows[0] != _HEADER:
        raise table.error(f"unknown columns: {','.join(rows[0])!r}")
    layers = tuple(tuple(row) for row in rows if row != _HEADER)
    return _with_whole(checked_table(replace(table, rows=layers)), _LAYER_COUNTS)


def _with_whole(table: Table, counts: set[str] | frozenset[str]) -> Table:
    rows = (
        tuple(_whole(value) if column in counts else value for column, value in pairs)
        for pairs in (zip(table.columns, row, strict=True) for row in table.rows)
    )
    return replace(table, rows=tuple(rows))


def _whole(text: str) -> str:
    """`1872.0` as `1872`; what is no such number is returned as it is, for the reader to refuse."""
    return str(math.floor(float(text) + 0.5)) if _FRACTION.fullmatch(text) else text
