"""The figures of a cell compared with those that were accepted. Pure.

If the model is the accepted one and the target is deterministic, every change is one of the
compiler, the settings or the bench, and is reported however small it is. A model that was trained
again, and a board, vary from run to run; there a change counts if it exceeds the tolerance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.baselines.accepted import AcceptedCell, AcceptedFigure, Baselines
from bench.judging.memory import judge_memory_bound, memory_story
from bench.judging.remarks import caveat
from bench.judging.reproducing import Reproduce
from bench.plan.config import BaselineConfig, Widths
from bench.plan.metrics import NPU_FIGURES, MetricName, describe
from bench.records.figures import Absent, Number, shown_number
from bench.records.layers import layer_summaries
from bench.records.metric_values import is_worse, metric_value
from bench.records.provenance import first_cause, provenance_of
from bench.records.record import Record, Status, Verdict
from targets.protocol import Source

__all__ = ["DETERMINISTIC", "judge_against_accepted"]

#: Targets that give the same counts for the same job, whenever they are asked.
DETERMINISTIC = frozenset({Source.SIMULATED, Source.ESTIMATE})
#: Figures that depend on the test set.
_OF_THE_DATA = frozenset({MetricName.ACCURACY, MetricName.REFERENCE})
#: Figures whose change is one of the layers.
_OF_THE_LAYERS = frozenset({MetricName.NPU_CYCLES, MetricName.INFERENCE_MS})
#: Layers to name; the others change less.
_LAYERS = 3

_EXACT = Widths()
_SAME_MODEL = "the model is the accepted one, so any change counts"


def judge_against_accepted(
    record: Record, baselines: Baselines, config: BaselineConfig, share: float, reproduce: Reproduce
) -> tuple[Verdict, ...]:
    """Compare each figure of a cell with the accepted one.

    Args:
        record: the measured cell.
        baselines: the accepted figures; those of the cell may be among them.
        config: what counts as a change.
        share: from which share of its cycles on a cell is memory-bound; `[sweep]` states it.
        reproduce: makes the command shown in the verdict.

    Returns:
        A verdict for each metric that has a figure or an accepted one. Nothing if there are no
        baselines at all for the workload and target.
    """
    accepted = baselines.cells.get(record.cell.id)
    if accepted is None:
        return tuple(_unaccepted(record, baselines, reproduce)) if baselines.cells else ()
    comparison = _Comparison.of(record, accepted, baselines.origin, config)
    verdicts = [
        verdict
        for metric in MetricName
        if (verdict := _judged(comparison, metric, reproduce)) is not None
    ]
    bound = judge_memory_bound(record, accepted, share, comparison.words, reproduce)
    return (*verdicts, *([bound] if bound else []))


def _unaccepted(record: Record, baselines: Baselines, reproduce: Reproduce) -> Iterable[Verdict]:
    for metric in MetricName:
        value = metric_value(record, metric)
        if not isinstance(value, Absent):
            why = f"{baselines.origin} has no figures of this cell"
            yield _verdict(record, metric, Status.NO_BASELINE, value, why, reproduce)


@dataclass(frozen=True)
class _Comparison:
    """A cell beside its accepted self."""

    record: Record
    accepted: AcceptedCell
    config: BaselineConfig
    #: Where the accepted figures are from.
    origin: str
    #: The first difference between what both were made from, in words; empty if there is none.
    cause: str
    #: Whether any change of a figure counts.
    exact: bool
    #: Why the figures that depend on the test set cannot be compared; empty if they can.
    other_data: str
    #: The same for all figures: the model was trained on other data.
    other_training: str

    @classmethod
    def of(
        cls, record: Record, accepted: AcceptedCell, origin: str, config: BaselineConfig
    ) -> _Comparison:
        made, now = accepted.made, provenance_of(record)
        cause = first_cause(made, now)
        same_model = made.quantisation.get("model_sha256") == record.model.sha256
        names = made.data.get("name"), record.data.name
        other = (
            f"accepted on other data ({names[0]}, not {names[1]})" if len(set(names)) > 1 else ""
        )
        training = made.data.get("training_sha256"), now.data.get("training_sha256")
        return cls(
            record=record,
            accepted=accepted,
            config=config,
            origin=origin,
            cause=str(cause) if cause else "",
            exact=same_model and record.measurement.source in DETERMINISTIC,
            other_data=other,
            other_training=other if not same_model and training[0] != training[1] else "",
        )

    @property
    def words(self) -> str:
        """The cause as the end of a sentence."""
        return f"; cause: {self.cause}" if self.cause else "; cause: nothing recorded differs"

    def told(self, figure: AcceptedFigure) -> str:
        """Since when a figure stands, and why."""
        reason = f", {figure.reason!r}" if figure.reason else ""
        return f"accepted {figure.since}{reason} in {self.origin}"

    def widths(self, metric: MetricName, figure: AcceptedFigure) -> tuple[Widths, str]:
        if self.exact and not figure.earlier:
            return _EXACT, _SAME_MODEL
        return self.config.widths(metric, self.record.cell.id)


def _judged(comparison: _Comparison, metric: MetricName, reproduce: Reproduce) -> Verdict | None:
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
        return _verdict(record, metric, Status.FAIL, value, why, reproduce, figure)
    other = comparison.other_training or (comparison.other_data if metric in _OF_THE_DATA else "")
    if other:
        return _verdict(record, metric, Status.NO_BASELINE, value, other, reproduce)
    left = _left_the_npu(comparison) if metric in NPU_FIGURES else ""
    if left:
        return _verdict(record, metric, Status.FAIL, value, left, reproduce, figure)
    return _compared(comparison, metric, value, figure, reproduce)


def _compared(
    comparison: _Comparison,
    metric: MetricName,
    value: float,
    figure: AcceptedFigure,
    reproduce: Reproduce,
) -> Verdict:
    record = comparison.record
    widths, origin = comparison.widths(metric, figure)
    floor = widths.floor(figure.value)
    why = comparison.told(figure)
    if not widths.exceeded(figure.value, value):
        status = Status.PASS
    else:
        worse = is_worse(record, metric, figure.value, value)
        status = Status.FAIL if worse else Status.IMPROVED
        why += f"; {_tolerated(metric, floor, origin)}{comparison.words}"
        why += _layers_that_changed(comparison, metric)
        if metric is MetricName.MEMORY_WAIT and worse:
            why += memory_story(record, comparison.accepted)
        if status is Status.IMPROVED:
            why += "; accept it, as it hides the next regression: bench baseline accept"
    return _verdict(record, metric, status, value, why, reproduce, figure, floor)


def _tolerated(metric: MetricName, floor: float, origin: str) -> str:
    if not floor:
        return origin if origin == _SAME_MODEL else f"{origin} tolerates no change"
    return f"{origin} tolerates {shown_number(floor, describe(metric).unit)}"


def _left_the_npu(comparison: _Comparison) -> str:
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


def _layers_that_changed(comparison: _Comparison, metric: MetricName) -> str:
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
    floor: float = 0,
) -> Verdict:
    unit = describe(metric).unit
    absent = isinstance(value, Absent)
    return Verdict(
        status=status,
        subject=record.cell.id,
        metric=metric.value,
        measured=value if isinstance(value, Absent) else Number(value=value, unit=unit),
        remark="" if absent else caveat(record, metric),
        baseline=None if figure is None else Number(value=figure.value, unit=figure.unit),
        tolerance=Number(value=floor, unit=unit) if floor else None,
        reason=reason,
        reproduce=reproduce(metric.value, record.cell.id),
    )
