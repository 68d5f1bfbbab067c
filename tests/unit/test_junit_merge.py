"""Shards joined into one report: every planned cell once, nothing lost, no part too large."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import JUnitXml

from bench.core.errors import BenchError
from bench.report.junit import junit_xml
from bench.report.merging import junit_parts, merge_runs
from bench.report.run_view import RunView, read_run
from tests.support.history import manifest
from tests.support.junit_schemas import ANT, JENKINS, deviations
from tests.support.promises import Costs, hold
from tests.support.report_runs import hostile_run, many_cells_view, mixed_run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return read_run(mixed_run(tmp_path_factory.mktemp("mixed")))


def shards(whole: RunView, owner: list[int]) -> list[RunView]:
    """The run divided: the tests of cell i are in shard `owner[i]`, which knows the whole plan."""
    place = {cell.id: owner[i % len(owner)] for i, cell in enumerate(whole.cells)}
    return [
        replace(whole, cases=tuple(c for c in whole.cases if place[c.case.subject] == shard))
        for shard in range(max(owner) + 1)
    ]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_shards_together_are_the_run(whole: RunView, owner: list[int]) -> None:
    merged = merge_runs(shards(whole, owner))
    assert sorted(c.name for c in merged.cases) == sorted(c.name for c in whole.cases)
    assert merged.unreported == ()
    assert merged.repeated == 0


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12), st.integers(0, 3))
def test_a_lost_shard_is_an_error_for_each_of_its_cells(
    whole: RunView, owner: list[int], lost: int
) -> None:
    parts = shards(whole, owner)
    kept = [part for number, part in enumerate(parts) if number != lost]
    if len(kept) == len(parts) or not any(part.cases for part in kept):
        return
    merged = merge_runs(kept)
    names = {case.name for case in merged.cases}
    assert names == {case.name for case in whole.cases}
    missing = {case.case.subject for case in parts[lost].cases}
    assert set(merged.unreported) == missing
    assert not merged.green or not missing
    for case in merged.cases:
        if case.case.subject in missing:
            assert (case.fails, case.error) == (True, "NotReported")


def test_what_ran_again_counts_and_what_it_was_is_told(whole: RunView) -> None:
    assert whole.manifest is not None
    later = whole.manifest.model_copy(update={"started": "2026-11-30T03:00:00+0000"})
    passing = tuple(replace(case, fails=False, text="fine") for case in whole.cases)
    again = replace(whole, manifest=later, cases=passing)
    for order in ([whole, again], [again, whole]):
        merged = merge_runs(order)
        assert merged.repeated == len(whole.cases)
        assert len(merged.cases) == len(whole.cases)
        assert not any(case.fails for case in merged.cases), "the later run counts"
        told = [case for case in merged.cases if "Before, it failed" in case.text]
        assert len(told) == whole.summary.failed


def test_runs_of_different_configurations_are_not_one(whole: RunView) -> None:
    assert whole.manifest is not None
    other = whole.manifest.model_copy(update={"config_sha256": "1" * 64})
    with pytest.raises(BenchError, match="different configurations"):
        merge_runs([whole, replace(whole, manifest=other)])


@pytest.mark.parametrize("most", [6_000, 20_000, 10_000_000])
def test_parts_are_small_and_lose_nothing(whole: RunView, most: int) -> None:
    merged = merge_runs([whole])
    parts = junit_parts(merged, most)
    assert all(len(part.encode("utf-8")) <= most for part in parts)
    read = [JUnitXml.fromstring(part.encode("utf-8")) for part in parts]
    names = [case.name for xml in read for suite in xml for case in suite]
    assert sorted(names) == sorted(case.name for case in whole.cases)
    assert sum(xml.failures + xml.errors for xml in read) == whole.summary.failed
    assert (len(parts) == 1) == (most == 10_000_000)


@pytest.mark.slow
@pytest.mark.speed
def test_ten_thousand_cells_take_five_seconds_in_parts_of_25_mb() -> None:
    view = many_cells_view(10_000)
    merged = merge_runs([with_manifest(view)])

    def measure() -> Costs:
        start = time.process_time()
        parts = junit_parts(merged, 25_000_000)
        taken = time.process_time() - start
        assert all(len(part.encode("utf-8")) < 25_000_000 for part in parts)
        counts = [ElementTree.fromstring(part).get("tests") for part in parts]
        assert sum(int(count or 0) for count in counts) == len(view.cases)
        return Costs(times={"JUnit": taken})

    hold(measure, Costs(times={"JUnit": 5}))


def with_manifest(view: RunView) -> RunView:
    return replace(view, manifest=manifest(1, cells=[cell.id for cell in view.cells]))


@pytest.mark.parametrize("which", ["mixed", "hostile"])
def test_deviations_from_the_schemas_are_those_that_the_contract_lists(
    which: str, whole: RunView, tmp_path: Path
) -> None:
    """docs/junit.md says why of each."""
    view = whole if which == "mixed" else read_run(hostile_run(tmp_path))
    records = {record.cell.id: record for record in view.records}
    lines = {"workloads.net.limits[0].max": 12, "workloads.net": 7}
    root = ElementTree.fromstring(junit_xml(view.cases, records, "bench.toml", lines))
    jenkins, ant = deviations(root, JENKINS), deviations(root, ANT)
    contract = Path(__file__).resolve().parents[2] / "docs" / "junit.md"
    text = contract.read_text(encoding="utf-8")
    assert jenkins <= {"testcase@file", "testcase@line"}
    for one in jenkins | ant:
        assert f"`{one}`" in text, f"docs/junit.md does not list {one}"
