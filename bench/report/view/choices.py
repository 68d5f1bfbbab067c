"""Which variant to ship on how many MACs, what binds it, and what would help: by stated rules.

These are suggestions, not judgements. Of the variants that do not fail, and whose accuracy is close
to the best one's, the one with the fewest cycles is suggested; of the MAC counts, the smallest that
is almost as fast as the fastest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.plan.metrics import Better, MetricName
from bench.records.merit import better_of, merit_of
from bench.report.view.cells import CellView
from bench.report.view.figures import FigureView
from bench.report.view.studies import Place, Study, StudyRow, cycles_of, places_of
from targets.ethos_u55.accelerators import Accelerator

__all__ = ["ACCURACY_LOSS", "FASTER", "RULE", "Choice", "choices_of"]

#: How much accuracy, of 1, a variant may lose against the best one; of an error, which share.
ACCURACY_LOSS = 0.01
#: More MACs are suggested only if they save more than this share of the cycles.
FASTER = 0.10
#: Cycles that differ by less than this share are alike; then the smaller model is suggested.
_ALIKE = 0.01
#: The rule in words.
RULE = (
    "Suggested is the variant with the fewest cycles among those that do not fail and lose at most "
    f"{100 * ACCURACY_LOSS:g} point of accuracy against the best; of those within "
    f"{100 * _ALIKE:g} % of it, the smallest; on the smallest MAC count within {100 * FASTER:g} % "
    "of the fastest."
)


@dataclass(frozen=True)
class Choice:
    """What to ship of one workload at one place."""

    workload: str
    target: str
    place: Place
    #: Which of the place's axes differ within the study, and so need to be told.
    where: str
    #: The suggestion; None if no variant can be suggested, for the reason in `why_none`.
    cell: CellView | None
    why_none: str
    #: In words: figures, and what it gains.
    headline: str
    gains: str
    #: `memory (flash)`, `compute`, ...; and the figures behind it.
    bound: str
    bound_why: str
    #: What would help, in the target's own words.
    help: str


def choices_of(studies: Sequence[Study]) -> tuple[Choice, ...]:
    """A choice for each study and place, in the order of the plan."""
    return tuple(
        _choice(study, place, rows) for study in studies for place, rows in places_of(study).items()
    )


def _choice(study: Study, place: Place, rows: list[StudyRow]) -> Choice:
    where = _where(study, place)
    row, why_none = _best_row(rows)
    of_sweep = row or rows[0]
    bound, bound_why = _bound(of_sweep)
    if row is None:
        return Choice(
            study.workload, study.target, place, where, None, why_none, "", "", bound, bound_why, ""
        )
    macs = _enough(cycles_of(row))
    cell = row.cells[macs]
    record = cell.record
    explanation = record.measurement.explanation if record else ""
    return Choice(
        study.workload,
        study.target,
        place,
        where,
        cell,
        "",
        f"{row.variant} on {int(macs)} MACs",
        _gains(row, macs, rows),
        bound,
        bound_why,
        explanation.removeprefix("estimate: "),
    )


def _where(study: Study, place: Place) -> str:
    """The place in words: its memory mode, and what else differs within the study."""
    others = [row.place for row in study.rows]
    words = [place.memory_mode]
    if len({other.system_config for other in others}) > 1:
        words.append(place.system_config)
    if len({other.timing for other in others}) > 1:
        words.append(f"timing {place.timing}")
    if len({other.vela for other in others}) > 1:
        words.append(f"Vela {place.vela}")
    return ", ".join(words)


def _best_row(rows: Sequence[StudyRow]) -> tuple[StudyRow | None, str]:
    """The row to suggest; None, and why there is none."""
    counted = [row for row in rows if cycles_of(row)]
    if not counted:
        return None, "no variant has a cycle count"
    sound = [row for row in counted if not row.fails]
    if not sound:
        return None, "every variant fails"
    good = _accurate(sound)
    least = min(min(cycles_of(row).values()) for row in good)
    fast = [row for row in good if min(cycles_of(row).values()) <= least * (1 + _ALIKE)]
    return min(fast, key=lambda row: (_size(row), min(cycles_of(row).values()))), ""


def _accurate(rows: list[StudyRow]) -> list[StudyRow]:
    """Those that lose little against the most accurate one; all where nobody knows."""
    known = {i: value for i, row in enumerate(rows) if (value := _accuracy(row)) is not None}
    record = rows[0].main.record
    if not known or record is None:
        return rows
    better = better_of(record, MetricName.ACCURACY)
    if better is Better.LOWER:
        most = min(known.values()) * (1 + ACCURACY_LOSS)
        return [row for i, row in enumerate(rows) if i in known and known[i] <= most]
    least = max(known.values()) - ACCURACY_LOSS
    return [row for i, row in enumerate(rows) if i in known and known[i] >= least]


def _accuracy(row: StudyRow) -> float | None:
    return row.main.value(MetricName.ACCURACY)


def _size(row: StudyRow) -> float:
    return row.main.value(MetricName.DEVICE_MODEL) or 0.0


def _enough(cycles: dict[Accelerator, float]) -> Accelerator:
    """The smallest MAC count that is almost as fast as the fastest."""
    least = min(cycles.values())
    return min(macs for macs, value in cycles.items() if value <= least * (1 + FASTER))


def _gains(row: StudyRow, macs: Accelerator, rows: Sequence[StudyRow]) -> str:
    cell, cycles = row.cells[macs], cycles_of(row)
    words = [_shown(cell, metric) for metric in (MetricName.NPU_CYCLES, MetricName.INFERENCE_MS)]
    words.append(_shown(cell, MetricName.DEVICE_MODEL))
    record = cell.record
    if record is not None and _accuracy(row) is not None:
        words.append(f"{merit_of(record)} {_accuracy(row):.4f}")
    largest = max(cycles)
    if largest != macs:
        faster = cycles[macs] / cycles[largest] - 1
        words.append(f"{int(largest)} MACs would save {max(faster, 0) / (1 + faster):.1%} of that")
    base = next((one for one in rows if one.variant == "base" and macs in one.cells), None)
    before = cycles_of(base).get(macs) if base is not None and base is not row else None
    if before and cycles[macs]:
        words.append(_against_base(before / cycles[macs]))
    return ", ".join(word for word in words if word)


def _against_base(ratio: float) -> str:
    """How many times as long the base takes."""
    if abs(ratio - 1) < _ALIKE:
        return "as fast as base"
    return (
        f"{ratio:.2f} times as fast as base"
        if ratio > 1
        else f"base is {1 / ratio:.2f} times as fast"
    )


def _shown(cell: CellView, metric: MetricName) -> str:
    figure: FigureView | None = cell.figures.get(metric)
    return figure.shown if figure is not None and figure.value is not None else ""


def _bound(row: StudyRow) -> tuple[str, str]:
    sweep = row.sweep
    if sweep is None or sweep.binding is None:
        return _bound_of_cell(row.main)
    what = f"memory ({sweep.memory})" if sweep.memory else sweep.binding
    ideal = max(row.cells) / min(row.cells)
    gained = sweep.efficiency * ideal
    return what, (
        f"{ideal:g} times the MACs make {row.variant} {gained:.2f} times as fast; "
        f"memory binds {sweep.memory_share:.0%} of its cycles at {int(max(row.cells))} MACs"
    )


def _bound_of_cell(cell: CellView) -> tuple[str, str]:
    record = cell.record
    if record is None or not record.binding:
        return "not known", "there is no MAC sweep, and no layer says what binds it"
    name = max(record.binding, key=record.binding.__getitem__)
    share = record.binding[name]
    return name, f"by its layers, {name} binds {share:.0%} of the cycles; there is no MAC sweep"
