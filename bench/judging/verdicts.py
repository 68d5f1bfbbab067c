"""The judge: records and limits in, verdicts out. Reads no files, knows no targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.plan.config import BASE_VARIANT, LimitRule
from bench.plan.metrics import NPU_FIGURES, MetricName, format_value
from bench.records.record import Record, Status, Verdict, metric_value
from targets.protocol import Source

__all__ = ["Reproduce", "caveat", "judge_cell", "left_the_npu", "worst"]

#: Makes the command that repeats the judgement of a metric (or group) for a subject.
Reproduce = Callable[[str, str], str]

_SEVERITY = (
    Status.PASS,
    Status.NO_BASELINE,
    Status.UNAVAILABLE,
    Status.INCOMPLETE,
    Status.FAIL,
)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict that decides among `verdicts` (at least one)."""
    return max(verdicts, key=lambda v: _SEVERITY.index(v.status))


def judge_cell(
    record: Record,
    base: Record | None,
    rules: Sequence[LimitRule],
    reproduce: Reproduce,
    base_absent: str = "",
) -> tuple[Verdict, ...]:
    """Judge every metric of one cell.

    Args:
        record: the measured cell.
        base: the same cell of the base variant (`record` itself for the base); None if it could
            not be measured.
        rules: all limit rules of the workload; those that match the cell are applied.
        reproduce: makes the command shown in the verdict.
        base_absent: why there is no base.

    Returns:
        At least one verdict per metric: one for each bound that applies, or one that says why none
        applies. A bound that cannot be compared with anything is never ignored.
    """
    verdicts: list[Verdict] = []
    for metric in MetricName:
        make = _Maker(record, metric, reproduce)
        bounds = _bounds_of(metric, record, base, rules, base_absent)
        value = metric_value(record, metric)
        if isinstance(value, str):
            verdicts.append(make.missing(value, bounds))
            continue
        left = left_the_npu(record, rules) if metric in NPU_FIGURES else ""
        verdicts += [make.bounded(value, bound, left) for bound in bounds]
        if not bounds:
            verdicts.append(make.unlimited(value, record.cell.workload))
    return tuple(verdicts)


def left_the_npu(record: Record, rules: Sequence[LimitRule]) -> str:
    """Why the NPU's figures are not those of the whole network; empty if they are.

    An operator on the CPU takes its cycles and beats with it, so losing it would look like a gain.
    A limit on `cpu_operators` says how many may be there; without a limit, none may.
    """
    left = record.compilation.cpu_operators or ()
    allowed = [
        rule.max
        for rule in rules
        if rule.metric is MetricName.CPU_OPERATORS
        and rule.max is not None
        and _matches(rule, record)
    ]
    if len(left) <= min(allowed, default=0):
        return ""
    names = ", ".join(dict.fromkeys(left))
    verb = "runs" if len(left) == 1 else "run"
    return (
        f"{len(left)} of its operators {verb} on the CPU ({names}), so this figure is not the "
        "whole network's; a limit on cpu_operators allows them"
    )


@dataclass(frozen=True)
class _Bound:
    """One number with which a metric is compared; None if there is nothing to compare it with."""

    value: float | None
    direction: str
    #: What states it, in words.
    origin: str
    #: The key of the configuration that states it, or empty.
    key: str = ""

    def holds(self, measured: float) -> bool:
        assert self.value is not None
        if self.direction == "at least":
            return measured >= self.value
        return measured <= self.value


class _Maker:
    """Makes the verdicts of one metric of one cell."""

    def __init__(self, record: Record, metric: MetricName, reproduce: Reproduce) -> None:
        self._subject = record.cell.id
        self._metric = metric
        self._promised = record.promised is None or metric in record.promised
        self._command = reproduce(metric.value, record.cell.id)
        self._caveat = caveat(record, metric)

    def _shown(self, value: float) -> str:
        return format_value(self._metric, value) + self._caveat

    def _make(self, status: Status, measured: str, reason: str, bound: _Bound | None) -> Verdict:
        limit = bound.value if bound else None
        return Verdict(
            status=status,
            subject=self._subject,
            metric=self._metric.value,
            measured=measured,
            limit="" if limit is None else format_value(self._metric, limit),
            direction=bound.direction if bound and limit is not None else "",
            reason=reason,
            reproduce=self._command,
            key=bound.key if bound else "",
        )

    def missing(self, reason: str, bounds: Sequence[_Bound]) -> Verdict:
        """The verdict without a figure: a limit that has lost its figure fails."""
        if not reason:
            silent = "the target gave neither a figure nor a reason"
            return self._make(Status.INCOMPLETE, "absent", silent, None)
        configured = [bound for bound in bounds if bound.key]
        if configured and self._promised:
            lost = f"{configured[0].key} has lost its figure: {reason}"
            return self._make(Status.FAIL, "absent", lost, configured[0])
        return self._make(Status.UNAVAILABLE, "absent", reason, None)

    def unlimited(self, value: float, workload: str) -> Verdict:
        return self._make(
            Status.NO_BASELINE,
            self._shown(value),
            f"no limit of workloads.{workload}.limits is for this cell",
            None,
        )

    def bounded(self, value: float, bound: _Bound, left_the_npu: str) -> Verdict:
        if bound.value is None:
            return self._make(Status.INCOMPLETE, self._shown(value), bound.origin, bound)
        if left_the_npu:
            return self._make(Status.FAIL, self._shown(value), left_the_npu, bound)
        status = Status.PASS if bound.holds(value) else Status.FAIL
        return self._make(status, self._shown(value), bound.origin, bound)


def caveat(record: Record, metric: MetricName) -> str:
    """The remark that must accompany a figure, such as that cycles are an estimate."""
    if metric is MetricName.ACCURACY:
        cut = record.accuracy.saturated if record.accuracy else 0
        return f" ({cut:.1%} of the inputs' values are saturated)" if cut else ""
    if metric is MetricName.CPU_OPERATORS:
        names = ", ".join(dict.fromkeys(record.compilation.cpu_operators or ()))
        return f" ({names})" if names else ""
    source = record.measurement.source
    if metric is not MetricName.NPU_CYCLES or source not in (Source.ESTIMATE, Source.SIMULATED):
        return ""
    if source is Source.ESTIMATE:
        return " (Vela's estimate)"
    return f" (estimate; Vela's: {record.compilation.report.cycles_total:,})"


def _matches(rule: LimitRule, record: Record) -> bool:
    cell = record.cell
    return (
        (rule.variants is None or cell.variant in rule.variants)
        and (rule.macs is None or cell.macs in rule.macs)
        and (rule.memory_modes is None or cell.memory_mode in rule.memory_modes)
    )


def _bounds_of(
    metric: MetricName,
    record: Record,
    base: Record | None,
    rules: Sequence[LimitRule],
    base_absent: str,
) -> list[_Bound]:
    """What `metric` of the cell is compared with: the rules that match, or what needs no rule."""
    bounds = []
    for i, rule in enumerate(rules):
        if rule.metric is metric and _matches(rule, record):
            key = f"workloads.{record.cell.workload}.limits[{i}]"
            bounds += _absolute(rule, key)
            if record.cell.variant != BASE_VARIANT:
                # The base is not compared with itself.
                bounds += _relative(rule, key, record, base, base_absent)
    if bounds:
        return bounds
    if metric is MetricName.REFERENCE:
        # Correctness needs no configuration: without a rule, no element may differ.
        return [_Bound(0, "at most", "the reference interpreter's outputs")]
    if metric is MetricName.CPU_OPERATORS and _limits_the_npu(record, rules):
        why = "the limits on the NPU's figures are for the whole network"
        return [_Bound(0, "at most", why)]
    return []


def _limits_the_npu(record: Record, rules: Sequence[LimitRule]) -> bool:
    return any(rule.metric in NPU_FIGURES and _matches(rule, record) for rule in rules)


def _absolute(rule: LimitRule, key: str) -> list[_Bound]:
    bounds = []
    if rule.min is not None:
        bounds.append(_Bound(rule.min, "at least", f"{key}.min", f"{key}.min"))
    if rule.max is not None:
        bounds.append(_Bound(rule.max, "at most", f"{key}.max", f"{key}.max"))
    return bounds


def _relative(
    rule: LimitRule, key: str, record: Record, base: Record | None, base_absent: str
) -> list[_Bound]:
    wanted = [
        (name, value)
        for name in ("max_drop_from_base", "max_ratio_to_base")
        if (value := getattr(rule, name)) is not None
    ]
    reference = _comparable(rule.metric, record, base, base_absent)
    bounds = []
    for name, value in wanted:
        stated = f"{key}.{name} = {value:g}"
        if isinstance(reference, str):
            bounds.append(
                _Bound(None, "", f"{stated} cannot be applied: {reference}", f"{key}.{name}")
            )
            continue
        assert base is not None
        has = f"base has {format_value(rule.metric, reference)}{caveat(base, rule.metric)}"
        drop = name == "max_drop_from_base"
        bounds.append(
            _Bound(
                reference - value if drop else reference * value,
                "at least" if drop else "at most",
                f"{stated}, {has}",
                f"{key}.{name}",
            )
        )
    return bounds


def _comparable(
    metric: MetricName, record: Record, base: Record | None, base_absent: str
) -> float | str:
    """The base's figure, or why there is none that can be compared with the cell's."""
    if base is None:
        return f"base was not measured: {base_absent}"
    if base.data != record.data:
        return f"base was measured on other data ({base.data.name}, not {record.data.name})"
    value = metric_value(base, metric)
    return f"base has no figure: {value}" if isinstance(value, str) else value
