"""What limits each variant, in a line: what stands beneath a workload's table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from bench.cell import Accelerator
from bench.record import Record, SweepRecord

__all__ = ["finding_lines", "headline"]


def headline(explanation: str) -> str:
    """The first sentence of an explanation, which can stand alone."""
    return explanation.partition(". ")[0].removesuffix(".")


def finding_lines(
    records: Sequence[Record], sweeps: Sequence[SweepRecord], shown: Accelerator
) -> list[Text]:
    """A line for each record at `shown` that has an explanation; then where sweeps contradict."""
    lines = [
        f"{record.cell.variant}, {record.cell.memory_mode.value}: "
        f"{headline(record.measurement.explanation)}"
        for record in records
        if record.cell.macs is shown and record.measurement.explanation
    ]
    ids = {record.cell.id for record in records}
    lines += [
        f"{sweep.id}: {sweep.disagreement}"
        for sweep in sweeps
        if sweep.disagreement and ids >= set(sweep.cells)
    ]
    return [Text(line) for line in lines]
