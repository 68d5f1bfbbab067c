"""The view behind all reports: what changed and why, what to ship, what binds; and its page."""

from __future__ import annotations

import json
import math
import re
import zlib
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan.metrics import MetricName
from bench.records.record import Status
from bench.report.html.bundle import library_script
from bench.report.html.charts import chart_specs
from bench.report.html.details import cell_details
from bench.report.html.library import chart_library
from bench.report.html.packing import compressed, rounded, script_json, text
from bench.report.html.page import run_page
from bench.report.run_history import HistoryView
from bench.report.run_view import RunView, read_run
from bench.report.view.causes import layer_causes
from bench.report.view.choices import choices_of
from bench.report.view.figures import Change
from bench.report.view.pareto import pareto_front
from bench.report.view.roofline import bytes_per_cycle, roof_of, roofline_point
from bench.report.view.summary import regressions, worst_cases
from targets.timing_profiles import PROFILES, PortTiming
from tests.support.report_runs import LOST, REGRESSED, hostile_run, mixed_run


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return read_run(mixed_run(tmp_path_factory.mktemp("mixed")))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return read_run(hostile_run(tmp_path_factory.mktemp("hostile")))


def test_every_planned_cell_is_counted_once(view: RunView) -> None:
    summary = view.summary
    assert (summary.planned, summary.measured, summary.incomplete) == (12, 11, 1)
    assert summary.changes[Change.REGRESSED] == 4
    assert summary.changes[Change.IMPROVED] == 3
    assert summary.changes[Change.UNCHANGED] == 4
    assert not summary.green
    assert summary.tests == summary.passed + summary.failed + summary.skipped


def test_a_cell_that_nothing_is_known_of_makes_a_run_red(view: RunView) -> None:
    (lost,) = [cell for cell in view.cells if cell.id == LOST]
    assert (lost.status, lost.fails, lost.headline) == (Status.INCOMPLETE, True, "Vela crashed")


def test_changes_stand_together_by_metric_and_cause(view: RunView) -> None:
    found = regressions(view.cells, Change.REGRESSED, Change.IMPROVED)
    worse = [one for one in found if one.change is Change.REGRESSED]
    assert {one.metric for one in worse} == {"npu_cycles", "inference_ms"}
    for one in worse:
        assert len(one.cells) == 4
        assert one.cause == "Vela: version 5.1.0 -> 5.2.0"
        assert one.largest == pytest.approx(1 / 9, rel=0.01)
        assert "accepted 2026-11-01" in one.reason
    assert found.index(worse[0]) == 0, "what got worse comes first"


def test_what_fails_most_comes_first(view: RunView) -> None:
    cases = worst_cases(view.cases)
    assert all(case.fails for case in cases)
    assert cases[0].status is Status.FAIL
    assert cases[-1].case.subject == LOST, "what was not judged comes after what was"


def test_the_suggestion_never_fails(view: RunView) -> None:
    (choice,) = choices_of(view.studies)
    assert choice.cell is not None
    assert choice.cell.id == "net-clustered-u55_32-shared_sram-sim"
    assert not choice.cell.fails
    assert "1.61 times as fast as base" in choice.gains
    assert "flash-bound" in choice.help


def test_nothing_on_the_front_is_beaten(view: RunView) -> None:
    front = pareto_front(view.studies)
    assert front
    for one in view.cells:
        figures = (MetricName.NPU_CYCLES, MetricName.DEVICE_MODEL)
        mine = [one.value(metric) for metric in figures]
        if one.record is None or one.id in front:
            continue
        rivals = [c for c in view.cells if c.id in front and c.record is not None]
        assert any(
            (rival.value(MetricName.ACCURACY) or 0) >= (one.value(MetricName.ACCURACY) or 0)
            and all((rival.value(m) or 0) <= (v or 0) for m, v in zip(figures, mine, strict=True))
            for rival in rivals
        )


def test_the_roof_is_what_the_adapter_lets_through() -> None:
    assert bytes_per_cycle(PortTiming()) == 8
    assert bytes_per_cycle(PROFILES["u55_high_end"].ext) == 1, "50 beats of 8 bytes in 400 cycles"
    # Two reads of 64 bytes in flight, each of which takes 64 + 8 cycles.
    port = PortTiming(maxr=2, rlatency=64, burst=64)
    assert bytes_per_cycle(port) == pytest.approx(2 * 64 / 72)


def test_no_cell_is_above_its_roof(view: RunView) -> None:
    (cell,) = [cell for cell in view.cells if cell.id == REGRESSED]
    point, roof = roofline_point(cell), roof_of(cell, view.manifest)
    assert point is not None
    assert roof is not None
    # The record's beats are made up: an eighth of its cycles, of 8 bytes each.
    assert point.macs_per_cycle == pytest.approx(point.macs_per_byte, rel=0.01)
    assert point.macs_per_cycle <= roof * point.macs_per_byte * 1.01


def test_layers_lose_no_cycle(view: RunView) -> None:
    for cell in view.cells:
        if cell.record is not None:
            rows = cell.record.measurement.layers
            assert sum(one.total for one in layer_causes(cell.record)) == sum(r.total for r in rows)


def test_every_chart_is_valid_vega_lite() -> None:
    vl_convert = pytest.importorskip("vl_convert", reason="vl-convert-python is missing")
    for name, spec in chart_specs().items():
        made = vl_convert.vegalite_to_vega({**spec, "data": {"values": []}})
        assert made["marks"], name


def test_the_library_of_the_charts_is_what_its_package_bundles() -> None:
    pytest.importorskip("vl_convert", reason="vl-convert-python is missing")
    assert library_script() == chart_library(), "run: make charts"
    assert "BSD 3-Clause License" in chart_library()
    assert not re.search(r"</script|<!--", chart_library())


def embedded(page: str) -> object:
    found = re.search(r'<script type="application/json" id="run-data">(.*?)</script>', page)
    assert found is not None
    return json.loads(found[1])


def test_what_is_embedded_is_what_was_found(view: RunView) -> None:
    page = run_page(view, "window.vegaEmbed = 1;", HistoryView(), {})
    data = embedded(page)
    assert isinstance(data, dict)
    assert data["cells"]["id"] == [cell.id for cell in view.cells]
    cycles = data["cells"]["figures"]["npu_cycles"]
    assert cycles == [cell.value(MetricName.NPU_CYCLES) for cell in view.cells]
    chunks = re.findall(r'id="details-\d+">([^<]*)</script>', page)
    details = [one for chunk in chunks for one in json.loads(zlib.decompress(b64decode(chunk)))]
    assert details == [json.loads(json.dumps(cell_details(cell, {}))) for cell in view.cells]


def test_nothing_breaks_out_of_the_page(hostile: RunView) -> None:
    page = run_page(hostile, "window.vegaEmbed = 1;", HistoryView(), {"x": {"y": "</script>"}})
    assert "<img" not in page
    ours = 3 + len(re.findall(r"id=\"details-", page))
    assert page.count("<script") == ours, "the data, the library and our own code"
    assert not set("\x00\x1b\u202e\u2028") & set(page)
    assert "{{ 7*7 }}" in page, "it is text, and no template"
    assert embedded(page)


@given(st.text(st.characters() | st.sampled_from("<>&\u2028\ud800'\"\\")))
def test_any_text_stays_inside_its_script(value: str) -> None:
    written = script_json({"a": text(value)})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {"a": text(value)}


@given(st.floats())
def test_any_number_is_json(value: float) -> None:
    shown = json.loads(script_json(rounded(value)))
    if math.isfinite(value):
        assert shown == pytest.approx(value, rel=1e-5)
    else:
        assert shown is None


@given(st.lists(st.integers(), max_size=20), st.integers(1, 7))
def test_chunks_hold_everything_in_order(items: list[int], each: int) -> None:
    chunks = compressed(items, each)
    found = [one for chunk in chunks for one in json.loads(zlib.decompress(b64decode(chunk)))]
    assert found == items


def test_what_a_page_needs_is_in_the_package() -> None:
    here = Path(__file__).resolve().parents[2] / "bench" / "report" / "html" / "assets"
    assert {path.suffix for path in here.iterdir()} == {".css", ".js", ".jinja"}
