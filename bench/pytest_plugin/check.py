"""What a regression test calls: from verdicts to the outcomes of pytest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from bench.judging.judge import Judge
from bench.judging.outcomes import (
    JudgedOutcome,
    outcome_of_unmeasured,
    outcome_of_verdicts,
    said_or_failed,
)
from bench.judging.suites import suite_of
from bench.plan.cell import Cell
from bench.plan.grid import Group
from bench.records.record import Record, UnmeasuredRecord

__all__ = ["ERROR_PROPERTY", "Check"]

_T = TypeVar("_T")

#: The property of a test that was not judged: the kind of error.
ERROR_PROPERTY = "error"


class Check:
    """What a regression test calls; one per test."""

    def __init__(self, judge: Judge, node: pytest.Item) -> None:
        self._judge = judge
        self._node = node

    def cell(self, cell: Cell, suite: str) -> None:
        """Assert the verdicts of the metrics of `suite` for `cell`."""
        outcome = self._asked(cell.id, lambda: self._judge.cell(cell))
        if isinstance(outcome, UnmeasuredRecord):
            _end(outcome_of_unmeasured(outcome))
            return
        self._report_figures(outcome)
        _end(outcome_of_verdicts([v for v in outcome.verdicts if suite_of(v.metric) == suite]))

    def sweep(self, group: Group) -> None:
        """Assert the outcome of a MAC sweep."""
        record = self._asked(group.id, lambda: self._judge.sweep(group))
        if record.binding is not None:
            self._property("scaling_efficiency", f"{record.efficiency:.4f}")
            self._property("bound_by", record.memory or record.binding)
            self._property("memory_share", f"{record.memory_share:.4f}")
        if record.disagreement:
            self._property("disagreement", record.disagreement)
        _end(outcome_of_verdicts(record.verdicts))

    def order(self, group: Group) -> None:
        """Assert that size and cycles rise along the configured order of variants."""
        record = self._asked(group.id, lambda: self._judge.order(group))
        _end(outcome_of_verdicts(record.verdicts))

    def _report_figures(self, record: Record) -> None:
        report = record.compilation.report
        self._property("cell", record.cell.id)
        self._property("source", record.measurement.source.value)
        self._property("vela_cycles_estimate", str(report.cycles_total))
        self._property("data", record.data.name)
        self._property("vela_version", record.compilation.vela_version)
        self._property("encoded_weights_bytes", str(report.encoded_weights_bytes))
        self._property("original_weights_bytes", str(report.original_weights_bytes))
        self._property("device_model_bytes", str(record.compilation.device_model_bytes))
        if record.compilation.cpu_operators is not None:
            self._property("cpu_operators", str(len(record.compilation.cpu_operators)))
        if record.accuracy is not None:
            self._property("accuracy", f"{record.accuracy.value:.6f}")
        for event, count in record.measurement.counters.items():
            # A figure that nobody has measured does not get the name of a measurement.
            estimated = record.measurement.kinds.get(event) in ("modelled", "estimate")
            self._property(f"{event}_estimate" if estimated else event, str(count))
        if record.measurement.explanation:
            self._property("explanation", record.measurement.explanation)

    def _property(self, name: str, value: str) -> None:
        # Only user_properties reach the JUnit file of the controller under xdist.
        self._node.user_properties.append((name, value))

    def _asked(self, subject: str, ask: Callable[[], _T]) -> _T:
        """The judge's answer; without one, the test has failed."""
        answer = said_or_failed(subject, ask)
        if isinstance(answer, JudgedOutcome):
            self._property(ERROR_PROPERTY, answer.error)
            pytest.fail(answer.text, pytrace=False)
        return answer


def _end(judged: JudgedOutcome) -> None:
    """End the test so; one that passed goes on."""
    if judged.outcome == "failed":
        pytest.fail(judged.text, pytrace=False)
    if judged.outcome == "skipped":
        pytest.skip(judged.text)
