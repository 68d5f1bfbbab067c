"""Cache keys: the same parameters give the same digest, different ones never do."""

from __future__ import annotations

import enum
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cache import CacheKey
from bench.core.errors import CacheError

#: Few values, many of them equal to Python or alike in print: collisions would show here.
_LOOKALIKES = st.sampled_from(
    [0, 0.0, -0.0, False, None, "", "0", "null", 1, 1.0, True, "1", "1.0", "true", 1e22, 10**22]
)
_SCALARS = st.one_of(
    _LOOKALIKES, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)
_PARAMETERS = st.dictionaries(st.text(max_size=3), _VALUES, max_size=4)


def _typed(value: Any) -> Any:
    """`value` with every type spelled out, so that == tells 1 from 1.0 from True."""
    if isinstance(value, dict):
        return {name: _typed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    return (type(value).__name__, repr(value))


def _shuffled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shuffled(value[name]) for name in reversed(list(value))}
    if isinstance(value, list):
        return tuple(_shuffled(item) for item in value)
    return value


@given(_PARAMETERS)
def test_order_of_mappings_and_tuple_or_list_do_not_matter(parameters: dict[str, Any]) -> None:
    assert CacheKey("model", parameters) == CacheKey("model", _shuffled(parameters))
    assert CacheKey("model", parameters).digest == CacheKey("model", _shuffled(parameters)).digest


@given(_VALUES, _VALUES)
def test_digests_are_equal_exactly_where_values_are(one: Any, other: Any) -> None:
    digests = {CacheKey("model", {"x": value}).digest for value in (one, other)}
    assert (len(digests) == 1) == (_typed(one) == _typed(other))


@given(_PARAMETERS)
def test_parameters_read_back_exactly(parameters: dict[str, Any]) -> None:
    assert _typed(CacheKey("model", parameters).parameters) == _typed(parameters)


def test_kind_is_part_of_the_digest() -> None:
    assert CacheKey("variant", {"x": 1}).digest != CacheKey("compiled", {"x": 1}).digest


def test_key_is_a_value_cut_off_from_the_mapping_it_was_made_of() -> None:
    parameters: dict[str, Any] = {"layers": [1, 2]}
    key = CacheKey("model", parameters)
    parameters["layers"].append(3)
    key.parameters["layers"].append(4)
    assert key == CacheKey("model", {"layers": [1, 2]})
    assert pickle.loads(pickle.dumps(key)) == key
    assert len({key, CacheKey("model", {"layers": [1, 2]})}) == 1
    with pytest.raises(AttributeError):
        key.kind = "other"  # type: ignore[misc]


class _Mode(str, enum.Enum):
    FAST = "fast"


_CYCLE: list[Any] = []
_CYCLE.append(_CYCLE)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (b"bytes", "bytes"),
        ({1, 2}, "set"),
        (Path("x"), "Path"),
        (np.float64(0.5), "float64"),
        (np.int64(5), "int64"),
        (_Mode.FAST, "_Mode"),
        ({1: "int name"}, "non-str name"),
        ("\ud800", "Unicode"),
        ({"\udfff": 1}, "Unicode"),
        (_CYCLE, "too deeply"),
        pytest.param(10**5000, "digits", id="huge-int"),
    ],
)
def test_what_has_no_canonical_json_is_refused(value: Any, said: str) -> None:
    with pytest.raises(CacheError, match=said) as caught:
        CacheKey("model", {"outer": [{"inner": value}]})
    assert caught.value.cure


def test_refusal_names_the_place() -> None:
    with pytest.raises(CacheError, match=r"parameters\.outer\[1\]\.inner"):
        CacheKey("model", {"outer": [0, {"inner": math.nan}]})


@pytest.mark.parametrize("kind", ["", "Model", "a-b", "a/b", "..", "a1", "model\n"])
def test_kind_must_be_a_plain_directory_name(kind: str) -> None:
    with pytest.raises(CacheError, match="not a kind"):
        CacheKey(kind, {})
