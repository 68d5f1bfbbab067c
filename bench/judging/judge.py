"""Records with their verdicts: the engine's figures compared with the configuration's limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from bench.baselines.accepted import BaselineSet
from bench.core.errors import BenchError, TargetUnavailableError
from bench.core.processes.servers import End, LostError
from bench.judging.baseline import judge_against_accepted
from bench.judging.bounds import left_the_npu, stated_direction
from bench.judging.groups import (
    judge_order,
    judge_sweep,
    judge_sweep_against_accepted,
    layer_efficiencies,
    lost_figures,
    sweep_caveat,
)
from bench.judging.policy import Policy
from bench.judging.reproducing import Reproduce
from bench.judging.sweep import classify
from bench.judging.verdicts import judge_cell
from bench.plan.cell import Cell
from bench.plan.config import BenchConfig
from bench.plan.grid import Group, base_of
from bench.plan.metrics import MetricName
from bench.records.binding import CellBinding
from bench.records.figures import Absent
from bench.records.metric_values import metric_value
from bench.records.record import (
    CellIdentity,
    Record,
    Status,
    SweepRecord,
    UnmeasuredRecord,
    Verdict,
)
from bench.records.run import OrderRecord
from bench.records.run_directory import RunDirectory

__all__ = ["Judge"]


class Judge:
    """Judges cells, sweeps and orders of one run, and stores its findings in the run's directory.

    A cell that cannot be measured is an outcome like any other: it is stored, and everything that
    needs it says so, under the same names as always.
    """

    def __init__(
        self,
        config: BenchConfig,
        measure: Callable[[Cell], Record],
        run: RunDirectory,
        reproduce: Reproduce,
        baselines: BaselineSet,
        policy: Policy,
    ) -> None:
        """`measure` makes the record of a cell without verdicts, or raises `BenchError`."""
        self._config = config
        self._measure = measure
        self._run = run
        self._reproduce = reproduce
        self._baselines = baselines
        self._policy = policy
        self._judged: dict[str, Record] = {}

    def know(self, judged: Iterable[Record]) -> None:
        """Take over the records of cells that another judge of the run has judged."""
        self._judged |= {record.cell.id: record for record in judged}

    def cell(self, cell: Cell) -> Record | UnmeasuredRecord:
        """The record of `cell` with its verdicts, or why there is none; written to the run."""
        if cell.id not in self._judged:
            record = self._measured(cell)
            if isinstance(record, UnmeasuredRecord):
                return record
            base = record if cell == base_of(cell) else self._measured(base_of(cell))
            known = base if isinstance(base, Record) else None
            absent = "" if isinstance(base, Record) else base.reason
            rules = self._config.workloads[cell.workload].limits
            accepted = self._baselines.of(cell.target, cell.workload)
            compared = judge_against_accepted(
                record,
                accepted,
                self._config.baselines,
                self._config.sweep.memory_share_from,
                self._reproduce,
                stated_direction(MetricName.ACCURACY, rules),
            )
            limited = judge_cell(
                record,
                known,
                rules,
                self._reproduce,
                absent,
                {verdict.metric for verdict in compared},
                covered=cell.id in accepted.cells,
            )
            verdicts = self._policy.applied((*limited, *compared))
            judged = record.model_copy(update={"verdicts": verdicts})
            self._run.write_record(judged)
            self._judged[cell.id] = judged
        return self._judged[cell.id]

    def _measured(self, cell: Cell) -> Record | UnmeasuredRecord:
        # Another worker may have found this out, or may have died of it.
        known = self._run.known_unmeasurable(cell)
        if known is not None:
            return known
        try:
            with self._run.working_on(cell):
                return self._measure(cell)
        except BenchError as error:
            unavailable = isinstance(error, TargetUnavailableError)
            found = UnmeasuredRecord(
                cell=CellIdentity.of(cell),
                status=Status.UNAVAILABLE if unavailable else Status.INCOMPLETE,
                error=_kind(error),
                reason=error.what,
                cure=error.cure,
            )
            found = self._policy.applied_to(found)
            self._run.write_unmeasured(found)
            return found

    def sweep(self, group: Group) -> SweepRecord:
        """The outcome of the MAC sweep over the cells of `group`; written to the run."""
        sweep = self._swept(group)
        self._run.write_sweep(sweep)
        return sweep

    def _swept(self, group: Group) -> SweepRecord:
        workload = self._config.workloads[group.workload]
        mode = group.cells[0].memory_mode
        expected = workload.expect_bound.get(mode)
        key = f"workloads.{group.workload}.expect_bound"
        records, missing = self._records_of(group)
        found: tuple[Status, str] | None = missing
        if found is None and any(
            isinstance(metric_value(record, MetricName.NPU_CYCLES), Absent) for record in records
        ):
            found = lost_figures(MetricName.NPU_CYCLES, records)
        if found is None and not all(record.binding for record in records):
            found = Status.INCOMPLETE, "it is not known what binds the layers of a cell"
        if found is not None:
            verdict = self._unjudged(group, "mac_sweep", *found, key if expected else "")
            return self._sweep_record(group, verdict, None)
        by_macs = {record.cell.macs: record for record in records}
        cycles = {
            macs: int(value)
            for macs, record in by_macs.items()
            if not isinstance(value := metric_value(record, MetricName.NPU_CYCLES), Absent)
        }
        bindings = {macs: CellBinding(record.binding) for macs, record in by_macs.items()}
        result = classify(cycles, bindings, self._config.sweep, sweep_caveat(by_macs))
        explanation = by_macs[max(by_macs)].measurement.explanation
        verdict = judge_sweep(group.id, result, expected, self._reproduce, explanation, key)
        left = [reason for record in records if (reason := left_the_npu(record, workload.limits))]
        if left and expected:
            verdict = verdict.model_copy(update={"status": Status.FAIL, "reason": left[0]})
        accepted = self._baselines.of(group.cells[0].target, group.workload)
        layers = layer_efficiencies(by_macs)
        compared = judge_sweep_against_accepted(group.id, result, layers, accepted, self._reproduce)
        record = self._sweep_record(group, verdict, compared)
        return record.model_copy(
            update={
                "binding": result.binding,
                "efficiency": result.efficiency,
                "memory": result.memory,
                "memory_share": result.memory_share,
                "reason": result.reason,
                "disagreement": result.disagreement,
                "explanation": explanation,
                "layers": layers,
            }
        )

    def _sweep_record(
        self, group: Group, verdict: Verdict, compared: Verdict | None
    ) -> SweepRecord:
        """The record of a sweep, so far without figures; what was not judged says nothing more."""
        if compared is not None and verdict.status is Status.NO_BASELINE:
            verdict, compared = compared, None
        first, *second = self._policy.applied([verdict, *([compared] if compared else [])])
        return SweepRecord(
            id=group.id,
            cells=tuple(cell.id for cell in group.cells),
            verdict=first,
            baseline_verdict=second[0] if second else None,
        )

    def order(self, group: Group) -> OrderRecord:
        """The judged order of the variants in `group`; written to the run."""
        workload = self._config.workloads[group.workload]
        records, missing = self._records_of(group)
        if missing is not None:
            key = f"workloads.{group.workload}.order"
            verdicts: Sequence[Verdict] = (self._unjudged(group, "variant_order", *missing, key),)
        else:
            tolerance = workload.order_tolerance
            verdicts = judge_order(group.id, records, tolerance, self._reproduce, workload.limits)
        cells = tuple(cell.id for cell in group.cells)
        order = OrderRecord(id=group.id, cells=cells, verdicts=self._policy.applied(verdicts))
        self._run.write_order(order)
        return order

    def _records_of(self, group: Group) -> tuple[list[Record], tuple[Status, str] | None]:
        """The records of the cells of `group`; if some have none, also the resulting status."""
        outcomes = [self.cell(cell) for cell in group.cells]
        records = [outcome for outcome in outcomes if isinstance(outcome, Record)]
        lost = [outcome for outcome in outcomes if isinstance(outcome, UnmeasuredRecord)]
        if not lost:
            return records, None
        unavailable = all(one.status is Status.UNAVAILABLE for one in lost)
        status = Status.UNAVAILABLE if unavailable else Status.INCOMPLETE
        return records, (status, "; ".join(f"{one.cell.id}: {one.reason}" for one in lost))

    def _unjudged(
        self, group: Group, metric: str, status: Status, reason: str, key: str
    ) -> Verdict:
        return Verdict(
            status=status,
            subject=group.id,
            metric=metric,
            measured=Absent(reason=reason),
            reason=reason,
            reproduce=self._reproduce(metric, group.id),
            key=key,
        )


def _kind(error: BenchError) -> str:
    """The kind of an error; `ProcessLost` where a process of ours was killed, whatever it did."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, LostError) and cause.end is End.OUTSIDE:
            return "ProcessLost"
        cause = cause.__cause__
    return type(error).__name__
