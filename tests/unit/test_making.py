"""Verdicts that are made without validation are those that validation would make."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bench.judging.making import made_number, made_verdict
from bench.records.figures import Absent, Category, Number
from bench.records.record import Status, Verdict

WORDS = st.text(st.characters(codec="ascii", min_codepoint=32), max_size=8)
NUMBERS = st.builds(made_number, st.floats(allow_nan=False, allow_infinity=False), WORDS)
CATEGORIES = st.builds(Category, value=WORDS)
PARTS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "remark": WORDS,
        "limit": st.none() | NUMBERS | CATEGORIES,
        "baseline": st.none() | NUMBERS | CATEGORIES,
        "tolerance": st.none() | NUMBERS,
        "direction": WORDS,
        "key": WORDS,
        "foreseen": st.booleans(),
    },
)
VERDICTS = st.builds(
    made_verdict,
    st.sampled_from(Status),
    WORDS,
    WORDS,
    NUMBERS | CATEGORIES | st.builds(Absent, reason=WORDS),
    WORDS,
    WORDS,
    PARTS,
)


@given(VERDICTS)
def test_they_are_whole_and_read_back_as_they_are(verdict: Verdict) -> None:
    back = Verdict.model_validate_json(verdict.model_dump_json())
    assert back == verdict
    assert vars(back).keys() == vars(verdict).keys() == Verdict.model_fields.keys()
    assert verdict.model_copy(update={"fails": True}).fails
    assert repr(verdict) == repr(back)
    assert hash(verdict) == hash(back)


@given(NUMBERS)
def test_numbers_too(number: Number) -> None:
    assert number == Number(value=number.value, unit=number.unit)
    assert vars(number).keys() == Number.model_fields.keys()
