"""The figures of a cell compared with those that were accepted. Pure.

If the model is the accepted one and the target is deterministic, every change is one of the
compiler, the settings or the bench, and is reported however small it is. A model that was trained
again, and a board, vary from run to run; there a change counts if it exceeds the tolerance.
"""

from __future__ import annotations

from collections.abc import Iterable

from bench.baselines.accepted import AcceptedFigure, Baselines
from bench.judging.comparison import SAME_MODEL, Comparison
from bench.judging.making import Parts, made_number, made_verdict
from bench.judging.memory import judge_memory_bound, memory_story
from bench.judging.remarks import caveat, undecided
from bench.judging.reproducing import Reproduce, once_a_suite
from bench.plan.config import BaselineConfig
from bench.plan.metrics import NPU_FIGURES, Better, MetricName, describe
from bench.records.figures import Absent, Number, shown_number
from bench.records.layers import layer_summaries
from bench.records.merit import better_of, is_worse
from bench.records.metric_values import metric_value
from bench.records.record import Record, Status, Verdict

__all__ = ["judge_against_accepted"]

#: Figures that depend on the test set.
_OF_THE_DATA = frozenset({MetricName.ACCURACY, MetricName.REFERENCE})
#: Figures whose change is one of the layers.
_OF_THE_LAYERS = frozenset({MetricName.NPU_CYCLES, MetricName.INFERENCE_MS})
#: Layers to name; the others change less.
_LAYERS = 3


def judge_against_accepted(
    record: Record,
    baselines: Baselines,
    config: BaselineConfig,
    share: float,
    reproduce: Reproduce,
    stated: Better | None = None,
) -> tuple[Verdict, ...]:
    """Compare each figure of a cell with the accepted one.

    Args:
        record: the measured cell.
        baselines: the accepted figures; those of the cell may be among them.
        config: what counts as a change.
        share: from which share of its cycles on a cell is memory-bound; `[sweep]` states it.
        reproduce: makes the command shown in the verdict.
        stated: which way an accuracy of the user's own improves, if a limit says it.

    Returns:
        A verdict for each metric that has a figure or an accepted one. Nothing if there are no
        baselines at all for the workload and target.
    """
    command = once_a_suite(reproduce)
    accepted = baselines.cells.get(record.cell.id)
    if accepted is None:
        return tuple(_unaccepted(record, baselines, command)) if baselines.cells else ()
    comparison = Comparison(record, accepted, config, stated, baselines.origin)
    verdicts = [
        verdict
        for metric in MetricName
        if (verdict := _judged(comparison, metric, command)) is not None
    ]
    bound = judge_memory_bound(record, accepted, share, lambda: comparison.cause, command)
    return (*verdicts, *([bound] if bound else []))


def _unaccepted(record: Record, baselines: Baselines, reproduce: Reproduce) -> Iterable[Verdict]:
    for metric in MetricName:
        value = metric_value(record, metric)
        if not isinstance(value, Absent):
            why = f"{baselines.origin} has no figures of this cell"
            yield _verdict(record, metric, Status.NO_BASELINE, value, why, reproduce)


def _judged(comparison: Comparison, metric: MetricName, reproduce: Reproduce) -> Verdict | None:
    record = comparison.record
    value = metric_value(record, metric)
    figure = comparison.accepted.figures.get(metric)
    if figure is None:
        if isinstance(value, Absent):
            return None
        why = f"{comparison.origin} has no {metric.value} of this cell"
        return _verdict(record, metric, Status.NO_BASELINE, value, why, reproduce)
    if isinstance(value, Absent):
        lost = f"has lost its figure: {value.reason or 'the target does not say why'}"
        why = f"{lost}; {comparison.told(figure)}{comparison.words}"
        parts: Parts = {"cause": comparison.cause}
        return _verdict(record, metric, Status.FAIL, value, why, reproduce, figure, parts)
    other = comparison.other_training or (comparison.other_data if metric in _OF_THE_DATA else "")
    if other:
        return _verdict(record, metric, Status.NO_BASELINE, value, other, reproduce)
    left = _left_the_npu(comparison) if metric in NPU_FIGURES else ""
    if left:
        parts = {"cause": comparison.cause}
        return _verdict(record, metric, Status.FAIL, value, left, reproduce, figure, parts)
    return _compared(comparison, metric, value, figure, reproduce)


def _compared(
    comparison: Comparison,
    metric: MetricName,
    value: float,
    figure: AcceptedFigure,
    reproduce: Reproduce,
) -> Verdict:
    record = comparison.record
    widths, origin = comparison.widths(metric, figure)
    floor = widths.floor(figure.value)
    why = comparison.told(figure)
    counts = abs(value - figure.value) > floor
    worse = counts and is_worse(record, metric, figure.value, value, comparison.stated)
    unproven = comparison.unproven(worse=worse) if metric is MetricName.ACCURACY else ""
    if unproven:
        status = Status.INCOMPLETE
        why += f"; {unproven}: accept it anew{comparison.words}"
    elif not counts:
        status = Status.PASS
    else:
        status = Status.FAIL if worse else Status.IMPROVED
        why += f"; {_tolerated(metric, floor, origin)}{comparison.words}"
        why += _layers_that_changed(comparison, metric)
        if better_of(record, metric, comparison.stated) is None:
            why += "; nothing says which way it improves: a limit with min or max does"
        if metric is MetricName.MEMORY_WAIT and worse:
            why += memory_story(record, comparison.accepted)
        why += undecided(record, metric, figure.value, "the accepted figure")
        if status is Status.IMPROVED:
            why += "; accept it, as it hides the next regression: bench baseline accept"
    parts: Parts = {"cause": "" if status is Status.PASS else comparison.cause}
    if floor:
        parts["tolerance"] = made_number(floor, describe(metric).unit)
    return _verdict(record, metric, status, value, why, reproduce, figure, parts)


def _tolerated(metric: MetricName, floor: float, origin: str) -> str:
    if not floor:
        return origin if origin == SAME_MODEL else f"{origin} tolerates no change"
    return f"{origin} tolerates {shown_number(floor, describe(metric).unit)}"


def _left_the_npu(comparison: Comparison) -> str:
    """What operators have left the NPU since; the NPU's figures then leave something out."""
    left = comparison.record.compilation.cpu_operators or ()
    before = comparison.accepted.figures.get(MetricName.CPU_OPERATORS)
    if before is None or len(left) <= before.value:
        return ""
    names = ", ".join(dict.fromkeys(left))
    return (
        f"{len(left)} operators run on the CPU ({names}), {before.value:.0f} did when the figure "
        f"was accepted, so it leaves out more{comparison.words}"
    )


def _layers_that_changed(comparison: Comparison, metric: MetricName) -> str:
    if metric not in _OF_THE_LAYERS:
        return ""
    before, after = comparison.accepted.layers, layer_summaries(comparison.record)
    if not before:
        return ""
    changes = {
        name: (after[name].cycles if name in after else 0)
        - (before[name].cycles if name in before else 0)
        for name in dict.fromkeys((*after, *before))
    }
    largest = sorted(changes, key=lambda name: -abs(changes[name]))[:_LAYERS]
    told = [
        f"{name} {changes[name]:+,} cycles"
        + ("" if name in before else " (new)")
        + ("" if name in after else " (gone)")
        for name in largest
        if changes[name]
    ]
    return f"; layers: {', '.join(told)}" if told else ""


def _verdict(
    record: Record,
    metric: MetricName,
    status: Status,
    value: float | Absent,
    reason: str,
    reproduce: Reproduce,
    figure: AcceptedFigure | None = None,
    parts: Parts | None = None,
) -> Verdict:
    unit = describe(metric).unit
    baseline = None if figure is None else made_number(figure.value, figure.unit)
    if isinstance(value, Absent):
        measured: Number | Absent = value
    elif baseline is not None and baseline.value == value:
        measured = baseline
    else:
        measured = made_number(value, unit)
    return made_verdict(
        status,
        record.cell.id,
        metric.value,
        measured,
        reason,
        reproduce(metric.value, record.cell.id),
        {
            "remark": "" if isinstance(value, Absent) else caveat(record, metric),
            "baseline": baseline,
            "accepted": "" if figure is None else figure.since.isoformat(),
            **(parts or {}),
        },
    )
