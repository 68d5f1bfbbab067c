"""Records that older benches wrote are read, with the same figures and verdicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan.metrics import MetricName
from bench.records.figures import Absent, Category, Number
from bench.records.metric_values import metric_value
from bench.records.migration import migrated
from bench.records.record import Record, Status, SweepRecord
from bench.records.run import OrderRecord

#: Written by the bench before verdicts had numbers.
VERSION_1 = Path(__file__).parent / "data" / "schema_1"


def stored(folder: str) -> dict[str, Any]:
    (path,) = (VERSION_1 / folder).glob("*.json")
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert document["schema_version"] == 1
    return document


def test_a_record_of_version_1_is_read() -> None:
    document = stored("cells")
    record = Record.model_validate(document)
    assert record.schema_version == 2
    assert [v.status.value for v in record.verdicts] == [
        verdict["status"] for verdict in document["verdicts"]
    ]
    numbers = 0
    for verdict in record.verdicts:
        value = metric_value(record, MetricName(verdict.metric))
        if isinstance(value, Absent):
            assert isinstance(verdict.measured, Absent)
            continue
        assert isinstance(verdict.measured, Number)
        # The text had been rounded.
        assert verdict.measured.value == pytest.approx(value, abs=0.0051)
        numbers += 1
    assert numbers > 5
    cycles = next(v for v in record.verdicts if v.metric == "npu_cycles")
    assert cycles.remark.startswith("estimate; Vela's: ")
    assert isinstance(cycles.limit, Number)


def test_it_says_what_it_said(subtests: pytest.Subtests) -> None:
    """The line of each verdict is the old one."""
    document = stored("cells")
    record = Record.model_validate(document)
    for verdict, old in zip(record.verdicts, document["verdicts"], strict=True):
        with subtests.test(old["metric"]):
            wanted = f", must be {old['direction']} {old['limit']}" if old["limit"] else ""
            assert verdict.finding == f"{old['metric']} {old['measured']}{wanted}"


def test_judgements_over_several_cells_are_read() -> None:
    sweep = SweepRecord.model_validate(stored("sweeps"))
    assert isinstance(sweep.verdict.measured, Category)
    assert sweep.verdict.measured.value.endswith("-bound")
    order = OrderRecord.model_validate(stored("orders"))
    assert all(isinstance(verdict.measured, Category) for verdict in order.verdicts)
    assert {verdict.status for verdict in order.verdicts} == {Status.PASS}


def test_what_is_of_this_version_is_not_touched() -> None:
    record = Record.model_validate(stored("cells"))
    document = json.loads(record.model_dump_json())
    assert migrated(document) == document
    assert Record.model_validate(document) == record


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_anything_else_passes_through(document: Any) -> None:
    assert migrated(document) == document
    if isinstance(document, dict):
        versioned = {**document, "schema_version": 1, "verdicts": [document, document]}
        assert migrated(versioned)["schema_version"] == 2
