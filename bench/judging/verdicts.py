"""The judge: records and limits in, verdicts out. Reads no files, knows no targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

from bench.judging.sweep import SweepResult
from bench.plan.config import BASE_VARIANT, Binding, LimitRule
from bench.plan.metrics import Better, MetricName, describe, format_value
from bench.records.record import Record, Status, Verdict, metric_value
from targets.ethos_u55.accelerators import Accelerator
from targets.protocol import Source

__all__ = [
    "Reproduce",
    "judge_cell",
    "judge_order",
    "judge_sweep",
    "judge_unavailable",
    "sweep_caveat",
    "worst",
]

#: Makes the command that repeats the judgement of a metric (or group) for a subject.
Reproduce = Callable[[str, str], str]

_SEVERITY = (
    Status.PASS,
    Status.NO_BASELINE,
    Status.UNAVAILABLE,
    Status.INCOMPLETE,
    Status.FAIL,
)


def judge_unavailable(cell_id: str, reason: str, reproduce: Reproduce) -> Verdict:
    """The verdict of a cell that could not be measured for `reason`, not by its own fault."""
    return Verdict(
        status=Status.UNAVAILABLE,
        subject=cell_id,
        metric="measurement",
        measured="absent",
        limit="",
        direction="",
        reason=reason,
        reproduce=reproduce(MetricName.REFERENCE.value, cell_id),
    )


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict that decides among `verdicts` (at least one)."""
    return max(verdicts, key=lambda v: _SEVERITY.index(v.status))


def judge_cell(
    record: Record,
    base: Record,
    rules: Sequence[LimitRule],
    reproduce: Reproduce,
) -> tuple[Verdict, ...]:
    """Judge every metric of one cell.

    Args:
        record: the measured cell.
        base: the otherwise equal cell of the base variant (`record` itself for the base).
        rules: all limit rules of the workload; those that match the cell are applied.
        reproduce: makes the command shown in the verdict.

    Returns:
        At least one verdict a metric: one for each bound that applies, or NO_BASELINE.
    """
    verdicts: list[Verdict] = []
    for metric in MetricName:
        make = _Maker(record, metric, reproduce)
        value = metric_value(record, metric)
        if isinstance(value, str):
            verdicts.append(make.missing(value))
            continue
        bounds = [
            bound
            for i, rule in enumerate(rules)
            if rule.metric is metric and _matches(rule, record)
            for bound in _bounds(
                rule, f"workloads.{record.cell.workload}.limits[{i}]", record, base
            )
        ]
        if metric is MetricName.REFERENCE and not bounds:
            # Correctness needs no configuration: without a rule of its own, none may differ.
            bounds = [_Bound(0, "at most", "the reference interpreter's outputs")]
        verdicts += [make.bounded(value, bound) for bound in bounds]
        if not bounds:
            verdicts.append(make.unlimited(value, record.cell.workload))
    return tuple(verdicts)


class _Bound:
    """One number a metric is held against."""

    def __init__(self, value: float, direction: str, origin: str) -> None:
        self.value = value
        self.direction = direction
        self.origin = origin

    def holds(self, measured: float) -> bool:
        if self.direction == "at least":
            return measured >= self.value
        return measured <= self.value


class _Maker:
    """Makes the verdicts of one metric of one cell."""

    def __init__(self, record: Record, metric: MetricName, reproduce: Reproduce) -> None:
        self._subject = record.cell.id
        self._metric = metric
        self._command = reproduce(metric.value, record.cell.id)
        self._caveat = _caveat(record, metric)

    def _shown(self, value: float) -> str:
        return format_value(self._metric, value) + self._caveat

    def _make(self, status: Status, measured: str, reason: str, bound: _Bound | None) -> Verdict:
        return Verdict(
            status=status,
            subject=self._subject,
            metric=self._metric.value,
            measured=measured,
            limit=format_value(self._metric, bound.value) if bound else "",
            direction=bound.direction if bound else "",
            reason=reason,
            reproduce=self._command,
        )

    def missing(self, reason: str) -> Verdict:
        status = Status.UNAVAILABLE if reason else Status.INCOMPLETE
        return self._make(
            status, "absent", reason or "the target gave neither a figure nor a reason", None
        )

    def unlimited(self, value: float, workload: str) -> Verdict:
        return self._make(
            Status.NO_BASELINE,
            self._shown(value),
            f"no limit is set: add one to workloads.{workload}.limits",
            None,
        )

    def bounded(self, value: float, bound: _Bound) -> Verdict:
        status = Status.PASS if bound.holds(value) else Status.FAIL
        return self._make(status, self._shown(value), bound.origin, bound)


def _caveat(record: Record, metric: MetricName) -> str:
    """What must be said with a cycle count that nobody measured."""
    source = record.measurement.source
    if metric is not MetricName.NPU_CYCLES or source not in (Source.ESTIMATE, Source.SIMULATED):
        return ""
    if source is Source.ESTIMATE:
        return " (Vela's estimate)"
    return f" (estimate; Vela's: {record.compilation.report.cycles_total:,})"


def sweep_caveat(records: Mapping[Accelerator, Record]) -> str:
    """What must be said with the first and the last cycle count of a sweep."""
    first, last = records[min(records)], records[max(records)]
    caveat = _caveat(last, MetricName.NPU_CYCLES)
    if last.measurement.source is not Source.SIMULATED:
        return caveat
    vela = [record.compilation.report.cycles_total for record in (first, last)]
    return f" (estimate; Vela's: {vela[0]:,} -> {vela[1]:,})"


def _matches(rule: LimitRule, record: Record) -> bool:
    cell = record.cell
    return (
        (rule.variants is None or cell.variant in rule.variants)
        and (rule.macs is None or cell.macs in rule.macs)
        and (rule.memory_modes is None or cell.memory_mode in rule.memory_modes)
    )


def _bounds(rule: LimitRule, origin: str, record: Record, base: Record) -> list[_Bound]:
    bounds = []
    if rule.min is not None:
        bounds.append(_Bound(rule.min, "at least", f"{origin}.min"))
    if rule.max is not None:
        bounds.append(_Bound(rule.max, "at most", f"{origin}.max"))
    if record.cell.variant == BASE_VARIANT or record.data != base.data:
        # The base is not compared with itself, and no figure with one from other data.
        return bounds
    reference = metric_value(base, rule.metric)
    if isinstance(reference, str):
        return bounds
    if rule.max_drop_from_base is not None:
        bounds.append(
            _Bound(
                reference - rule.max_drop_from_base,
                "at least",
                f"{origin}.max_drop_from_base = {rule.max_drop_from_base:g}, "
                f"base has {format_value(rule.metric, reference)}{_caveat(base, rule.metric)}",
            )
        )
    if rule.max_ratio_to_base is not None:
        bounds.append(
            _Bound(
                reference * rule.max_ratio_to_base,
                "at most",
                f"{origin}.max_ratio_to_base = {rule.max_ratio_to_base:g}, "
                f"base has {format_value(rule.metric, reference)}{_caveat(base, rule.metric)}",
            )
        )
    return bounds


def judge_sweep(
    group_id: str,
    result: SweepResult,
    expected: Binding | None,
    reproduce: Reproduce,
    explanation: str = "",
) -> Verdict:
    """Hold the outcome of a MAC sweep against the configured expectation.

    `explanation` is what the target says of the largest accelerator's cell.
    """
    reason = f"{result.reason}; {explanation}" if explanation else result.reason
    if expected is None:
        status = Status.NO_BASELINE
        reason += "; no expect_bound is set"
    else:
        status = Status.PASS if result.binding == expected else Status.FAIL
    return Verdict(
        status=status,
        subject=group_id,
        metric="mac_sweep",
        measured=f"{result.binding}-bound",
        limit=f"{expected}-bound" if expected else "",
        direction="exactly" if expected else "",
        reason=reason,
        reproduce=reproduce("mac_sweep", group_id),
    )


#: The figures that must not fall along the configured order of variants.
ORDERED_METRICS = (MetricName.ENCODED_WEIGHTS, MetricName.NPU_CYCLES)


def judge_order(
    group_id: str, ranked: Sequence[Record], tolerance: float, reproduce: Reproduce
) -> tuple[Verdict, ...]:
    """Judge that size and cycles rise, or stay, along the configured order of variants.

    Args:
        group_id: id of the group.
        ranked: the records from the variant that should be smallest to the largest.
        tolerance: share by which a figure may be below the one before it: differences of a few
            cycles come from how the streams fall into bursts, not from what was compressed.
        reproduce: makes the command shown in the verdict.
    """
    rule = "workload's `order`" + (f", within {tolerance:.2%}" if tolerance else "")
    verdicts = []
    for metric in ORDERED_METRICS:
        figures = [(r.cell.variant, metric_value(r, metric)) for r in ranked]
        missing = [f"{name}: {value}" for name, value in figures if isinstance(value, str)]
        numbers = [value for _, value in figures if not isinstance(value, str)]
        wanted = " <= ".join(name for name, _ in figures)
        if missing:
            status, shown = Status.UNAVAILABLE, "absent"
        else:
            rises = all(a * (1 - tolerance) <= b for a, b in pairwise(numbers))
            status = Status.PASS if rises else Status.FAIL
            shown = ", ".join(
                f"{record.cell.variant} {format_value(metric, value)}{_caveat(record, metric)}"
                for record, value in zip(ranked, numbers, strict=True)
            )
        assert describe(metric).better is Better.LOWER
        verdicts.append(
            Verdict(
                status=status,
                subject=group_id,
                metric=f"variant_order of {metric.value}",
                measured=shown,
                limit=wanted,
                direction="in the order",
                reason="; ".join(missing) or rule,
                reproduce=reproduce("variant_order", group_id),
            )
        )
    return tuple(verdicts)
