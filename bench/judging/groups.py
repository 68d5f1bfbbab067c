"""Judgements over several cells: the MAC sweep, and the order of the variants. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from bench.baselines.accepted import Baselines
from bench.judging.bounds import left_the_npu
from bench.judging.remarks import caveat, told_figure
from bench.judging.reproducing import Reproduce
from bench.judging.sweep import SweepResult
from bench.plan.config import Binding, LimitRule
from bench.plan.metrics import NPU_FIGURES, Better, MetricName, describe
from bench.records.figures import Absent, Category
from bench.records.layers import layer_summaries
from bench.records.metric_values import metric_value
from bench.records.record import Record, Status, Verdict
from targets.ethos_u55.accelerators import Accelerator
from targets.protocol import Source

__all__ = [
    "judge_order",
    "judge_sweep",
    "judge_sweep_against_accepted",
    "layer_efficiencies",
    "lost_figures",
    "sweep_caveat",
]


def sweep_caveat(records: Mapping[Accelerator, Record]) -> str:
    """The remark that must accompany the first and the last cycle count of a sweep."""
    first, last = records[min(records)], records[max(records)]
    words = caveat(last, MetricName.NPU_CYCLES)
    if last.measurement.source is Source.SIMULATED:
        vela = [record.compilation.report.cycles_total for record in (first, last)]
        words = f"estimate; Vela's: {vela[0]:,} -> {vela[1]:,}"
    return f" ({words})" if words else ""


def judge_sweep(
    group_id: str,
    result: SweepResult,
    expected: Binding | None,
    reproduce: Reproduce,
    explanation: str = "",
    key: str = "",
) -> Verdict:
    """Compare the outcome of a MAC sweep with the configured expectation.

    `explanation` is what the target says about the cell of the largest accelerator, and `key` is
    the configuration's key that states the expectation.
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
        measured=Category(value=f"{result.binding}-bound"),
        limit=Category(value=f"{expected}-bound") if expected else None,
        direction="exactly" if expected else "",
        reason=reason,
        reproduce=reproduce("mac_sweep", group_id),
        key=key if expected else "",
    )


#: How far a scaling efficiency may fall: a tenth of what doubling the MACs in vain costs, from 32
#: to 256 of them (0.25 -> 0.125).
_EFFICIENCY = 0.0125
#: Layers to name.
_LAYERS = 3


def judge_sweep_against_accepted(
    group_id: str,
    result: SweepResult,
    layers: Mapping[str, float],
    accepted: Baselines,
    reproduce: Reproduce,
) -> Verdict | None:
    """Compare the outcome of a MAC sweep with the accepted one; None if there are no baselines.

    `layers` has the scaling efficiency of each, of which a failure names the lowest.
    """
    before = accepted.sweeps.get(group_id)
    if before is None and not accepted.sweeps:
        return None
    measured = Category(value=f"{result.binding}-bound, efficiency {result.efficiency:.4f}")
    command = reproduce("mac_sweep", group_id)
    if before is None:
        return Verdict(
            status=Status.NO_BASELINE,
            subject=group_id,
            metric="mac_sweep",
            measured=measured,
            reason=f"{accepted.origin} does not have this sweep",
            reproduce=command,
        )
    fell = before.efficiency - result.efficiency > _EFFICIENCY
    rose = result.efficiency - before.efficiency > _EFFICIENCY
    starved = before.binding == "compute" != result.binding
    freed = before.binding != "compute" == result.binding
    status = Status.FAIL if fell or starved else Status.IMPROVED if rose or freed else Status.PASS
    worst = _lowest(layers) if fell or starved else ""
    return Verdict(
        status=status,
        subject=group_id,
        metric="mac_sweep",
        measured=measured,
        baseline=Category(value=f"{before.binding}-bound, efficiency {before.efficiency:.4f}"),
        accepted=before.since.isoformat(),
        reason=f"accepted {before.since} in {accepted.origin}; a change of the efficiency by more "
        f"than {_EFFICIENCY} counts; {result.reason}{worst}",
        reproduce=command,
    )


def _lowest(layers: Mapping[str, float]) -> str:
    """The layers that gain least from more MACs."""
    named = sorted(layers, key=layers.__getitem__)[:_LAYERS]
    told = ", ".join(f"{name} {layers[name]:.2f}" for name in named)
    return f"; the layers that gain least from more MACs: {told}" if told else ""


def layer_efficiencies(records: Mapping[Accelerator, Record]) -> dict[str, float]:
    """Layer -> scaling efficiency from the smallest to the largest accelerator."""
    small, large = min(records), max(records)
    before, after = layer_summaries(records[small]), layer_summaries(records[large])
    return {
        name: round((before[name].cycles / after[name].cycles) / (large / small), 4)
        for name in after
        if name in before and after[name].cycles
    }


#: The figures that must not fall along the configured order of variants.
ORDERED_METRICS = (MetricName.ENCODED_WEIGHTS, MetricName.NPU_CYCLES)


def judge_order(
    group_id: str,
    ranked: Sequence[Record],
    tolerance: float,
    reproduce: Reproduce,
    rules: Sequence[LimitRule] = (),
) -> tuple[Verdict, ...]:
    """Judge that size and cycles rise, or stay, along the configured order of variants.

    Args:
        group_id: id of the group.
        ranked: the records from the variant that should be smallest to the largest.
        tolerance: fraction by which a figure may be below the previous one. Differences of a few
            cycles depend on how the streams are divided into bursts, not on the compression.
        reproduce: makes the command shown in the verdict.
        rules: the workload's limit rules; one of them may allow operators on the CPU.
    """
    workload = ranked[0].cell.workload
    verdicts = []
    for metric in ORDERED_METRICS:
        status, measured, reason = _ordered(metric, ranked, tolerance, rules)
        assert describe(metric).better is Better.LOWER
        verdicts.append(
            Verdict(
                status=status,
                subject=group_id,
                metric=f"variant_order of {metric.value}",
                measured=measured,
                limit=Category(value=" <= ".join(record.cell.variant for record in ranked)),
                direction="in the order",
                reason=reason,
                reproduce=reproduce("variant_order", group_id),
                key=f"workloads.{workload}.order",
            )
        )
    return tuple(verdicts)


def _ordered(
    metric: MetricName, ranked: Sequence[Record], tolerance: float, rules: Sequence[LimitRule]
) -> tuple[Status, Category | Absent, str]:
    """Status, figures and reason of one metric along the order."""
    figures = [metric_value(record, metric) for record in ranked]
    numbers = [figure for figure in figures if not isinstance(figure, Absent)]
    if len(numbers) < len(figures):
        status, reason = lost_figures(metric, ranked)
        return status, Absent(reason=reason), reason
    listing = ", ".join(
        f"{record.cell.variant} {told_figure(record, metric, number)}"
        for record, number in zip(ranked, numbers, strict=True)
    )
    shown = Category(value=listing)
    left = [left_the_npu(record, rules) for record in ranked if metric in NPU_FIGURES]
    if any(left):
        return Status.FAIL, shown, next(reason for reason in left if reason)
    rises = all(a * (1 - tolerance) <= b for a, b in pairwise(numbers))
    rule = "workload's `order`" + (f", within {tolerance:.2%}" if tolerance else "")
    return Status.PASS if rises else Status.FAIL, shown, rule


def lost_figures(metric: MetricName, records: Sequence[Record]) -> tuple[Status, str]:
    """The status of a judgement over `records` if some have no figure, and the reason.

    It is UNAVAILABLE only if the targets never promised the figure, INCOMPLETE if one is missing
    without a reason, and FAIL if there should have been one.
    """
    missing = [
        (record, value)
        for record in records
        if isinstance(value := metric_value(record, metric), Absent)
    ]
    reason = "; ".join(f"{r.cell.id}: no {metric.value}: {lost.reason}" for r, lost in missing)
    if not all(lost.reason for _, lost in missing):
        return Status.INCOMPLETE, f"{reason}: the target gave neither a figure nor a reason"
    promised = any(r.promised is None or metric in r.promised for r, _ in missing)
    return Status.FAIL if promised else Status.UNAVAILABLE, reason
