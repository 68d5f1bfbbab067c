"""What limits each variant, in lines: the text below a workload's table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from bench.core.text import one_line
from bench.records.record import Record, SweepRecord
from targets.ethos_u55.accelerators import Accelerator

__all__ = ["finding_lines", "headline"]


def headline(explanation: str) -> str:
    """The first sentence of an explanation, which can stand alone."""
    return explanation.partition(". ")[0].removesuffix(".")


def finding_lines(
    records: Sequence[Record], sweeps: Sequence[SweepRecord], shown: Accelerator
) -> list[Text]:
    """What limits the records at `shown`, equal texts once; then contradictions of the sweeps."""
    subjects: dict[str, list[Record]] = {}
    for record in records:
        if record.cell.macs is shown and record.measurement.explanation:
            subjects.setdefault(headline(record.measurement.explanation), []).append(record)
    several = len({record.compilation.vela_version for record in records}) > 1
    lines = [f"{_names(same, several)}: {words}" for words, same in subjects.items()]
    ids = {record.cell.id for record in records}
    lines += [
        f"{sweep.id}: {sweep.disagreement}"
        for sweep in sweeps
        if sweep.disagreement and ids >= set(sweep.cells)
    ]
    return [Text(one_line(line)) for line in lines]


def _names(records: Sequence[Record], tell_vela: bool) -> str:
    """The cells to which they belong: variants, and the memory modes that these share.

    With `tell_vela` also the versions of Vela.
    """
    variants: dict[str, list[str]] = {}
    for record in records:
        place = record.cell.memory_mode.value
        if tell_vela:
            place += f" under Vela {record.compilation.vela_version}"
        variants.setdefault(record.cell.variant, []).append(place)
    by_places: dict[str, list[str]] = {}
    for variant, places in variants.items():
        by_places.setdefault(" and ".join(dict.fromkeys(places)), []).append(variant)
    return "; ".join(f"{', '.join(names)}, {places}" for places, names in by_places.items())
