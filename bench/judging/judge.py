"""Records with their verdicts: the engine's figures held against the configuration's limits."""

from __future__ import annotations

from bench.core.errors import MissingFigureError, PrerequisiteError
from bench.judging.sweep import classify
from bench.judging.verdicts import (
    Reproduce,
    judge_cell,
    judge_order,
    judge_sweep,
    judge_unavailable,
    sweep_caveat,
)
from bench.measuring.engine import Engine
from bench.plan.cell import Cell
from bench.plan.config import BenchConfig
from bench.plan.grid import Group, base_of
from bench.plan.metrics import MetricName
from bench.records.binding import CellBinding
from bench.records.record import CellIdentity, Record, SweepRecord, UnavailableRecord, metric_value
from bench.records.run_directory import OrderRecord, RunDirectory

__all__ = ["Judge"]


class Judge:
    """Judges cells, sweeps and orders of one run and keeps what it found in the run's directory."""

    def __init__(
        self, config: BenchConfig, engine: Engine, run: RunDirectory, reproduce: Reproduce
    ) -> None:
        self._config = config
        self._engine = engine
        self._run = run
        self._reproduce = reproduce
        self._judged: dict[str, Record] = {}

    def cell(self, cell: Cell) -> Record:
        """The record of `cell` with its verdicts; written to the run when first asked for.

        Raises:
            BenchError: the cell could not be measured.
        """
        if cell.id not in self._judged:
            try:
                record = self._engine.record(cell)
                base = self._engine.record(base_of(cell))
            except PrerequisiteError as error:
                self._note_unavailable(cell, error)
                raise
            rules = self._config.workloads[cell.workload].limits
            verdicts = judge_cell(record, base, rules, self._reproduce)
            judged = record.model_copy(update={"verdicts": verdicts})
            self._run.write_record(judged)
            self._judged[cell.id] = judged
        return self._judged[cell.id]

    def _note_unavailable(self, cell: Cell, error: PrerequisiteError) -> None:
        verdict = judge_unavailable(cell.id, error.what, self._reproduce)
        self._run.write_unavailable(UnavailableRecord(cell=CellIdentity.of(cell), verdict=verdict))

    def sweep(self, group: Group) -> SweepRecord:
        """The outcome of the MAC sweep over the cells of `group`.

        Raises:
            BenchError: a cell could not be measured.
        """
        records = {cell.accelerator: self.cell(cell) for cell in group.cells}
        cycles = {}
        for macs, record in records.items():
            value = metric_value(record, MetricName.NPU_CYCLES)
            if isinstance(value, str):
                raise MissingFigureError(f"{record.cell.id}: no NPU cycles: {value}")
            cycles[macs] = int(value)
        bindings = {macs: CellBinding(record.binding) for macs, record in records.items()}
        result = classify(cycles, bindings, self._config.sweep, sweep_caveat(records))
        explanation = records[max(records)].measurement.explanation
        first = group.cells[0]
        expected = self._config.workloads[group.workload].expect_bound.get(first.memory_mode)
        sweep = SweepRecord(
            id=group.id,
            cells=tuple(cell.id for cell in group.cells),
            binding=result.binding,
            efficiency=result.efficiency,
            memory=result.memory,
            memory_share=result.memory_share,
            reason=result.reason,
            disagreement=result.disagreement,
            explanation=explanation,
            verdict=judge_sweep(group.id, result, expected, self._reproduce, explanation),
        )
        self._run.write_sweep(sweep)
        return sweep

    def order(self, group: Group) -> OrderRecord:
        """The judged order of the variants in `group`.

        Raises:
            BenchError: a cell could not be measured.
        """
        ranked = [self.cell(cell) for cell in group.cells]
        tolerance = self._config.workloads[group.workload].order_tolerance
        order = OrderRecord(
            id=group.id,
            cells=tuple(cell.id for cell in group.cells),
            verdicts=judge_order(group.id, ranked, tolerance, self._reproduce),
        )
        self._run.write_order(order)
        return order
