"""The short way to read a file gives what the long way gives, or leaves the file to it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.plain_json import read_plain
from bench.records.reading import read_record, strict_json
from bench.records.record import JudgedModel, Record, SweepRecord, UnmeasuredRecord, Verdict
from bench.records.run_directory import RunDirectory
from tests.support.promises import Costs, hold
from tests.support.report_runs import mixed_run

_TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
_NUMBERS = st.one_of(
    st.integers(-(1 << 70), 1 << 70), st.floats(), st.sampled_from([0, -0.0, 1e300, 5e-324])
)
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), _TEXT, _NUMBERS),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(_TEXT, inner, max_size=2)),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return mixed_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def record(run: RunDirectory) -> bytes:
    return max((run.path / "cells").iterdir(), key=lambda path: path.stat().st_size).read_bytes()


def _long_way(content: bytes, model: type[Any]) -> Any:
    """What the models themselves make of `content`; None if they refuse it."""
    try:
        return model.model_validate(strict_json(content.decode("utf-8")))
    except ValueError:
        return None


def test_every_file_of_a_run_goes_the_short_way(run: RunDirectory) -> None:
    models: dict[str, type[JudgedModel]] = {
        **{"cells": Record, "sweeps": SweepRecord, "unmeasured": UnmeasuredRecord}
    }
    paths = [path for path in run.path.glob("*/*.json") if path.parent.name in models]
    assert {path.parent.name for path in paths} >= {"cells", "unmeasured"}
    for path in paths:
        content, model = path.read_bytes(), models[path.parent.name]
        found = read_plain(content, model)
        assert found is not None, path
        assert found == _long_way(content, model)
        assert found.model_dump_json(indent=2).encode() + b"\n" == content


def _places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in `document`."""
    found = [path] if path else []
    items = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    for key, value in items:
        found += _places(value, (*path, key))
    return found


def _changed(document: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> bytes:
    copy = json.loads(json.dumps(document))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    change(inner, path[-1])
    return json.dumps(copy).encode("utf-8")


@given(st.data())
def test_a_changed_record_is_read_alike_or_left_to_the_long_way(
    record: bytes, data: st.DataObject
) -> None:
    document = json.loads(record)
    path = data.draw(st.sampled_from(_places(document)))
    value = data.draw(_VALUES)
    ascii_only = data.draw(st.booleans())

    def replace(inner: Any, key: Any) -> None:
        inner[key] = value

    content = _changed(document, path, replace)
    if not ascii_only:
        content = json.dumps(json.loads(content), ensure_ascii=False).encode("utf-8", "replace")
    found = read_plain(content, Record)
    assert found is None or found == _long_way(content, Record)


@given(st.data())
def test_a_record_without_a_field_is_never_completed_on_the_short_way(
    record: bytes, data: st.DataObject
) -> None:
    document = json.loads(record)
    named = [path for path in _places(document) if isinstance(path[-1], str)]
    path = data.draw(st.sampled_from(named))
    content = _changed(document, path, lambda inner, key: inner.pop(key))
    found = read_plain(content, Record)
    assert found is None or found == _long_way(content, Record)
    if path[:1] == ("verdicts",) and path[-1] == "fails":
        assert found is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"schema_version": 2', b'"schema_version": 1'),
        (b'"schema_version": 2', b'"schema_version": 2, "surprise": 1'),
        (b'"samples": ', b'"samples": NaN, "was": '),
        (b'"size_bytes": ', b'"size_bytes": 123456789012345678901234567890, "was": '),
        (b'"workload": "', b'"workload": "\\u0007'),
        (b'"workload": "', b'"workload": "\xff'),
        (b'"workload": "', "\ufffe".encode().join([b'"workload": "', b""])),
    ],
)
def test_what_is_not_plain_is_left_to_the_long_way(record: bytes, old: bytes, new: bytes) -> None:
    assert old in record
    assert read_plain(record.replace(old, new, 1), Record) is None


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_no_figure_is_infinite(word: str) -> None:
    number = {"kind": "number", "value": 12.5, "unit": "ms"}
    verdict = Verdict.model_validate(
        {
            **{"status": "pass", "subject": "a", "metric": "b", "measured": number},
            **{"reason": "r", "reproduce": "p"},
        }
    )
    text = verdict.model_dump_json()
    assert read_plain(text.encode(), Verdict) == verdict
    assert read_plain(text.replace("12.5", word).encode(), Verdict) is None


@pytest.mark.speed
def test_reading_a_record_costs_little_more_than_its_json(run: RunDirectory) -> None:
    paths = sorted((run.path / "cells").iterdir())

    def seconds(read: Callable[[Path], object]) -> float:
        start = time.process_time()
        for path in paths:
            read(path)
        return time.process_time() - start

    def both() -> tuple[float, float]:
        json_only = seconds(lambda path: json.loads(path.read_text(encoding="utf-8")))
        return json_only, seconds(lambda path: read_record(path, Record))

    def measure() -> Costs:
        times = [both() for _ in range(30)]
        bare, whole = (min(column) for column in zip(*times, strict=True))
        return Costs(ratios={"a record to its JSON": whole / bare})

    # 1.5 on a quiet machine. Models that clean each their own text took 4, and a search for long
    # numbers by a regular expression another 5.
    hold(measure, Costs(ratios={"a record to its JSON": 3}))
