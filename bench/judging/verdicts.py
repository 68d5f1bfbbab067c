"""The judge: records and limits in, verdicts out. Reads no files, knows no targets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from bench.judging.bounds import Bound, Tolerated, bounds_of, left_the_npu
from bench.judging.making import made_number, made_verdict
from bench.judging.remarks import caveat, undecided
from bench.judging.reproducing import Reproduce, once_a_suite
from bench.plan.config import LimitRule
from bench.plan.metrics import NPU_FIGURES, MetricName, describe
from bench.records.figures import Absent, Number, shown_number
from bench.records.metric_values import metric_value
from bench.records.record import Record, Status, Verdict

__all__ = ["decisive", "judge_cell", "worst"]

#: Figures that a part must have room for.
_MEMORY = frozenset(
    {MetricName.SRAM, MetricName.FLASH, MetricName.DEVICE_MODEL, MetricName.ENCODED_WEIGHTS}
)
_SEVERITY = (
    Status.PASS,
    Status.IMPROVED,
    Status.NO_BASELINE,
    Status.UNAVAILABLE,
    Status.INCOMPLETE,
    Status.FAIL,
)


#: Statuses of what does not fail, the most telling first.
_JUDGED = (Status.IMPROVED, Status.PASS, Status.NO_BASELINE)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict that decides among `verdicts` (at least one): one that fails, if any does."""
    return max(verdicts, key=lambda v: (v.fails, _SEVERITY.index(v.status)))


def decisive(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict that stands for a suite: the worst if it fails, else one that was judged.

    A suite whose metrics partly have no limit has judged the others all the same.
    """
    found = list(verdicts)
    decided = worst(found)
    if decided.fails:
        return decided
    for status in _JUDGED:
        if judged := [v for v in found if v.status is status]:
            return judged[0]
    return decided


def judge_cell(
    record: Record,
    base: Record | None,
    rules: Sequence[LimitRule],
    reproduce: Reproduce,
    base_absent: str = "",
    compared: Collection[str] = (),
    *,
    covered: bool = False,
) -> tuple[Verdict, ...]:
    """Judge every metric of one cell by its limits.

    Args:
        record: the measured cell.
        base: the same cell of the base variant (`record` itself for the base); None if it could
            not be measured.
        rules: all limit rules of the workload; those that match the cell are applied.
        reproduce: makes the command shown in the verdict.
        base_absent: why there is no base.
        compared: the metrics that have a verdict by an accepted figure. Where no limit is for
            them, there is nothing more to say.
        covered: whether the cell has accepted figures; of what it had no figure is then known.

    Returns:
        At least one verdict per metric: one for each bound that applies, or one that says why none
        applies. A bound that cannot be compared with anything is never ignored.
    """
    command = once_a_suite(reproduce)
    verdicts: list[Verdict] = []
    for metric in MetricName:
        bounds = bounds_of(metric, record, base, rules, base_absent)
        if not bounds and metric.value in compared:
            continue
        make = _Maker(record, metric, command, covered=covered)
        value = metric_value(record, metric)
        if isinstance(value, Absent):
            missing = make.missing(value, bounds)
            if missing.status is not Status.UNAVAILABLE or metric.value not in compared:
                verdicts.append(missing)
            continue
        left = left_the_npu(record, rules) if metric in NPU_FIGURES else ""
        verdicts += [make.bounded(value, bound, left) for bound in bounds]
        if not bounds:
            verdicts.append(make.unlimited(value, record.cell.workload))
    return tuple(verdicts)


class _Maker:
    """Makes the verdicts of one metric of one cell."""

    def __init__(
        self, record: Record, metric: MetricName, reproduce: Reproduce, *, covered: bool
    ) -> None:
        self._record = record
        self._subject = record.cell.id
        self._metric = metric
        self._promised = record.promised is None or metric in record.promised
        self._command = reproduce(metric.value, record.cell.id)
        self._caveat = caveat(record, metric)
        self._foreseen = covered or not self._promised

    def _make(
        self, status: Status, value: float | Absent, reason: str, bound: Bound | Tolerated | None
    ) -> Verdict:
        limit = bound.limit(describe(self._metric).unit) if bound else None
        absent = isinstance(value, Absent)
        return made_verdict(
            status,
            self._subject,
            self._metric.value,
            value if isinstance(value, Absent) else self._number(value),
            reason,
            self._command,
            {
                "remark": "" if absent else self._caveat,
                "limit": limit,
                "direction": bound.direction if bound and limit is not None else "",
                "key": bound.key if bound else "",
                "foreseen": self._foreseen and absent,
            },
        )

    def _number(self, value: float) -> Number:
        return made_number(value, describe(self._metric).unit)

    def missing(self, absent: Absent, bounds: Sequence[Bound | Tolerated]) -> Verdict:
        """The verdict without a figure: a limit that has lost its figure fails."""
        if not absent.reason:
            silent = "the target gave neither a figure nor a reason"
            return self._make(Status.INCOMPLETE, absent, silent, None)
        configured = [bound for bound in bounds if bound.key]
        if configured and self._promised:
            lost = f"{configured[0].key} has lost its figure: {absent.reason}"
            return self._make(Status.FAIL, absent, lost, configured[0])
        return self._make(Status.UNAVAILABLE, absent, absent.reason, None)

    def unlimited(self, value: float, workload: str) -> Verdict:
        return self._make(
            Status.NO_BASELINE,
            value,
            f"no limit of workloads.{workload}.limits is for this cell",
            None,
        )

    def bounded(self, value: float, bound: Bound | Tolerated, left_the_npu: str) -> Verdict:
        if isinstance(bound, Tolerated):
            status, reason = bound.judge()
            return self._make(status, value, reason, bound)
        if bound.value is None:
            return self._make(Status.INCOMPLETE, value, bound.origin, bound)
        if left_the_npu:
            return self._make(Status.FAIL, value, left_the_npu, bound)
        open_words = undecided(self._record, self._metric, bound.value, "the limit")
        if bound.holds(value):
            return self._make(Status.PASS, value, bound.origin + open_words, bound)
        return self._make(Status.FAIL, value, self._why_not(value, bound) + open_words, bound)

    def _why_not(self, value: float, bound: Bound) -> str:
        """What states the bound; of memory also how much is lacking."""
        if self._metric not in _MEMORY or bound.value is None:
            return bound.origin
        needed, there, lacking = (
            shown_number(amount, describe(self._metric).unit)
            for amount in (value, bound.value, value - bound.value)
        )
        return f"{bound.origin}: {needed} are needed, {there} allowed, {lacking} too much"
