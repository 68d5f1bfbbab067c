"""Whatever words a record holds, no report of it says anything else to a terminal than words."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from bench.judging.verdicts import judge_cell
from bench.records.reading import Unreadable
from bench.records.record import CellIdentity, Record, Status, UnmeasuredRecord
from bench.report.layers import layer_table
from bench.report.table import render, unmeasured_table, unreadable_table, workload_tables
from targets.protocol import LayerCycles
from tests.support.records import dense_layer_record
from tests.support.report_runs import studies_of_records

#: A line of a test report, a colour, a title, and text turned round.
EVIL = (
    "x\nFAILED forged.py::test_it\r\n\x1b[31m\x1b]2;t\x07\u202etxt\u2066 [red]\u2028FAILED forged"
)


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every text in a document."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    elif isinstance(value, str):
        yield path
    for key, inner in items:
        yield from places(inner, (*path, key))


def with_evil(record: Record) -> Record:
    """`record` with those words wherever it may hold any."""
    layer = LayerCycles(
        name="op", layer="net", compute=1, weight_decode=1, flash=1, sram=1, issue=1, total=1,
        bound_by="flash", vela_cycles=None,
    )  # fmt: skip
    measurement = record.measurement.model_copy(
        update={"explanation": "flash limits it", "layers": (layer,)}
    )
    verdicts = judge_cell(record, record, (), lambda metric, subject: f"pytest {metric}")
    whole = record.model_copy(update={"measurement": measurement, "verdicts": verdicts})
    changed = 0
    for *way, last in list(places(whole.model_dump(mode="json"))):
        document: Any = whole.model_dump(mode="json")
        inner: Any = document
        for key in way:
            inner = inner[key]
        inner[last] = EVIL
        try:
            whole = Record.model_validate(document)
        except ValidationError:
            # Not any words: a status, a hash.
            continue
        changed += 1
    assert changed > 40
    return whole


@pytest.fixture(scope="module")
def record() -> Record:
    return with_evil(dense_layer_record("base"))


def assert_harmless(text: str) -> None:
    hidden = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert hidden <= {"\n", "\t"}, hidden
    forged = [line for line in text.split("\n") if line.startswith("FAILED")]
    assert not forged, text


def test_the_tables_at_the_end_of_a_run(record: Record) -> None:
    text = render(workload_tables(studies_of_records([record]), 250), 250)
    assert "forged" in text
    assert_harmless(text)


def test_the_layers_of_a_cell(record: Record) -> None:
    text = render([layer_table(record)], 250)
    assert "forged" in text
    assert_harmless(text)


def test_a_verdict_is_one_line(record: Record) -> None:
    for verdict in record.verdicts:
        assert "forged" in verdict.line
        assert_harmless(verdict.line)
        assert len(verdict.line.splitlines()) == 1


def test_what_was_not_measured_or_cannot_be_read(record: Record) -> None:
    cell = CellIdentity.model_validate(record.cell.model_dump())
    unmeasured = UnmeasuredRecord(
        cell=cell, status=Status.INCOMPLETE, error=EVIL, reason=EVIL, cure=EVIL
    )
    unreadable = Unreadable(f"cells/{EVIL}.json", EVIL)
    assert_harmless(render(unmeasured_table([unmeasured]), 250))
    assert_harmless(render(unreadable_table([unreadable]), 250))
    assert str(unreadable).isprintable()
