"""Numbers in a run's files: what JSON and 64 bits hold, and nothing else."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.records.cases import CaseOutcome
from bench.records.measurement import MeasurementRecord
from bench.records.reading import require_strict, strict_json
from targets.protocol import Source

_PARTS = st.tuples(
    st.sampled_from(["", "-"]),
    st.from_regex(r"0|[1-9][0-9]{0,25}|1[0-9]{305,320}", fullmatch=True),
    st.one_of(st.just(""), st.from_regex(r"\.[0-9]{1,30}", fullmatch=True)),
    st.one_of(st.just(""), st.from_regex(r"[eE][+-]?[0-9]{1,4}", fullmatch=True)),
)
_PLACES = [
    "{}",
    "[{}]",
    "[1,{}]",
    '{{"a":{}}}',
    '{{"a": {}, "b": "x"}}',
    '["e999", {}]',
    "[\n{}\n]",
]


@given(_PARTS, st.sampled_from(_PLACES))
def test_a_number_is_read_exactly_or_refused(parts: tuple[str, ...], place: str) -> None:
    literal = "".join(parts)
    text = place.format(literal)
    value = json.loads(literal)
    fits = -(1 << 63) <= value < 1 << 63 if isinstance(value, int) else math.isfinite(value)
    if fits:
        assert strict_json(text) == json.loads(text)
    else:
        with pytest.raises(ValueError, match=r"64 bits|no number of JSON"):
            strict_json(text)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "1e999", "[-1E+400]"])
def test_what_is_no_number_of_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no number of JSON"):
        strict_json(text)


def test_a_number_of_a_million_digits_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="64 bits"):
        strict_json("[" + "9" * 1_000_000 + "]")


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), st.integers()))
def test_counts_are_written_exactly_if_they_can_be_read(counters: dict[str, int]) -> None:
    record = MeasurementRecord(
        source=Source.SIMULATED, counters=counters, unavailable={}, provenance={}, outputs_sha256=""
    )
    written = record.model_dump_json(indent=2)
    if all(-(1 << 63) <= count < 1 << 63 for count in record.counters.values()):
        require_strict(written)
        assert strict_json(written)["counters"] == record.counters
    else:
        with pytest.raises(ValueError, match="64 bits"):
            require_strict(written)


@given(st.floats())
def test_a_number_that_json_lacks_is_not_written(seconds: float) -> None:
    outcome = CaseOutcome.model_construct(
        nodeid="NaN", outcome="passed", seconds=seconds, text="", error=""
    )
    written = outcome.model_dump_json()
    if math.isfinite(seconds):
        require_strict(written)
    else:
        with pytest.raises(ValueError, match="no number of JSON"):
            require_strict(written)
