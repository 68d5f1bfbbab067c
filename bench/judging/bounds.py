"""What a metric of a cell is compared with: the rules that match, and what needs no rule. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.judging.remarks import told_figure
from bench.judging.tolerances import exceeded, tolerance_words
from bench.plan.config import BASE_VARIANT, LimitRule
from bench.plan.metrics import NPU_FIGURES, Better, MetricName
from bench.plan.tolerance import Tolerance
from bench.records.figures import Absent, Category, Number
from bench.records.metric_values import metric_value
from bench.records.quality import ReferenceRecord
from bench.records.record import Record, Status

__all__ = ["Bound", "Tolerated", "bounds_of", "left_the_npu", "stated_direction"]


@dataclass(frozen=True)
class Bound:
    """One number with which a metric is compared; None if there is nothing to compare it with."""

    value: float | None
    direction: str
    #: What states it, in words.
    origin: str
    #: The key of the configuration that states it, or empty.
    key: str = ""

    def holds(self, measured: float) -> bool:
        """Whether `measured` is within the bound, which must have a value."""
        assert self.value is not None
        if self.direction == "at least":
            return measured >= self.value
        return measured <= self.value

    def limit(self, unit: str) -> Number | None:
        """The bound of a metric in `unit`."""
        return None if self.value is None else Number(value=self.value, unit=unit)


@dataclass(frozen=True)
class Tolerated:
    """What a limit lets the outputs differ by."""

    tolerance: Tolerance
    #: Why they may, in the configuration's words.
    reason: str
    key: str
    #: None if there is no comparison; then nothing is judged.
    reference: ReferenceRecord | None

    direction = "at most"

    def judge(self) -> tuple[Status, str]:
        """The outcome and the reason."""
        assert self.reference is not None
        beyond = exceeded(self.reference, self.tolerance)
        if beyond:
            return Status.FAIL, f"{beyond}; {self.key} tolerates: {self.reason}"
        if not self.reference.mismatches:
            return Status.PASS, f"nothing differs, so {self.key} was not needed"
        return Status.PASS, f"{self.key} tolerates: {self.reason}"

    def limit(self, _: str) -> Category:
        """The bound in words, as it is not one number."""
        return Category(value=tolerance_words(self.tolerance))


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


def stated_direction(metric: MetricName, rules: Sequence[LimitRule]) -> Better | None:
    """Which way `metric` improves by the limits on it; None if they do not say it, or both."""
    mine = [rule for rule in rules if rule.metric is metric]
    least = any(rule.min is not None or rule.max_drop_from_base is not None for rule in mine)
    most = any(rule.max is not None or rule.max_ratio_to_base is not None for rule in mine)
    if least == most:
        return None
    return Better.HIGHER if least else Better.LOWER


def _matches(rule: LimitRule, record: Record) -> bool:
    cell = record.cell
    return (
        (rule.variants is None or cell.variant in rule.variants)
        and (rule.macs is None or cell.macs in rule.macs)
        and (rule.memory_modes is None or cell.memory_mode in rule.memory_modes)
    )


def bounds_of(
    metric: MetricName,
    record: Record,
    base: Record | None,
    rules: Sequence[LimitRule],
    base_absent: str,
) -> list[Bound | Tolerated]:
    """What `metric` of the cell is compared with: the rules that match, or what needs no rule."""
    bounds: list[Bound | Tolerated] = []
    for i, rule in enumerate(rules):
        if rule.metric is metric and _matches(rule, record):
            key = f"workloads.{record.cell.workload}.limits[{i}]"
            bounds += _absolute(rule, key)
            bounds += _tolerated(rule, key, record)
            if record.cell.variant != BASE_VARIANT:
                # The base is not compared with itself.
                bounds += _relative(rule, key, record, base, base_absent)
    if bounds:
        return bounds
    if metric is MetricName.REFERENCE:
        # Correctness needs no configuration: without a rule, no element may differ.
        return [Bound(0, "at most", "the reference interpreter's outputs")]
    if metric is MetricName.CPU_OPERATORS and _limits_the_npu(record, rules):
        why = "the limits on the NPU's figures are for the whole network"
        return [Bound(0, "at most", why)]
    return []


def _limits_the_npu(record: Record, rules: Sequence[LimitRule]) -> bool:
    return any(rule.metric in NPU_FIGURES and _matches(rule, record) for rule in rules)


def _absolute(rule: LimitRule, key: str) -> list[Bound]:
    bounds = []
    if rule.min is not None:
        bounds.append(Bound(rule.min, "at least", f"{key}.min", f"{key}.min"))
    if rule.max is not None:
        bounds.append(Bound(rule.max, "at most", f"{key}.max", f"{key}.max"))
    return bounds


def _tolerated(rule: LimitRule, key: str, record: Record) -> list[Tolerated]:
    if rule.tolerance is None or rule.reason is None:
        return []
    return [Tolerated(rule.tolerance, rule.reason, f"{key}.max_steps", record.reference)]


def _relative(
    rule: LimitRule, key: str, record: Record, base: Record | None, base_absent: str
) -> list[Bound]:
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
                Bound(None, "", f"{stated} cannot be applied: {reference}", f"{key}.{name}")
            )
            continue
        assert base is not None
        has = f"base has {told_figure(base, rule.metric, reference)}"
        drop = name == "max_drop_from_base"
        bounds.append(
            Bound(
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
    return f"base has no figure: {value.reason}" if isinstance(value, Absent) else value
