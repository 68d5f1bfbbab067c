"""The page of a run in a real browser: what it answers, finds and draws, and what it never does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.history.series import Selection
from bench.history.steps import find_steps, is_noisy
from bench.history.store import HistoryStore
from bench.records.run_directory import RunDirectory
from bench.report.history import SeriesView
from bench.report.html.library import chart_library
from bench.report.html.page import run_page
from bench.report.html.trend import trend_page
from bench.report.html.writing import write_page
from bench.report.run_history import HistoryView
from bench.report.run_view import read_run
from tests.support.bench_runs import ROOT
from tests.support.browser import chromium
from tests.support.promises import Costs, hold
from tests.support.report_runs import LOST, REGRESSED, hostile_run, many_cells_view, mixed_run

AXE = ROOT / "build" / "foreign" / "node_modules" / "axe-core" / "axe.min.js"
CHARTS = ("cycles", "pareto", "roofline", "layers")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


def write(run: RunDirectory) -> Path:
    path = run.path / "report.html"
    store = HistoryStore(run.path.parent / "history.sqlite")
    write_page(run, read_run(run), store, path)
    return path


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(mixed_run(tmp_path_factory.mktemp("mixed")))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(hostile_run(tmp_path_factory.mktemp("hostile")))


#: Milliseconds of each, until the page is laid out again.
INTERACTIONS = """() => {
    const times = {};
    const timed = (name, act) => {
        const start = performance.now();
        act();
        document.body.offsetHeight;
        times[name] = performance.now() - start;
    };
    const macs = document.getElementById('filter-macs');
    const search = document.getElementById('search');
    timed('filter', () => { macs.value = '128'; macs.dispatchEvent(new Event('change')); });
    timed('all', () => document.getElementById('clear').click());
    timed('sort', () => document.querySelector('button[data-key=npu_cycles]').click());
    timed('search', () => { search.value = 'w77'; search.dispatchEvent(new Event('input')); });
    return times;
}"""


class Sheet:
    """An open page, and everything that it complained of or asked for."""

    def __init__(self, browser: Any, path: Path, fragment: str = "", **options: Any) -> None:
        self.page = browser.new_page(**{"viewport": {"width": 1360, "height": 900}, **options})
        self.trouble: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("request", self._request)
        self.page.goto(path.as_uri() + fragment)
        self.page.wait_for_function("window.vegaEmbed && document.querySelector('#explorer table')")

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.trouble.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("file:", "blob:", "data:")):
            self.trouble.append(f"asked for {request.url}")

    def charts(self) -> None:
        """Wait until all charts of the study are drawn."""
        for name in CHARTS:
            self.page.wait_for_selector(f"#chart-{name} svg")

    def rows(self) -> list[str]:
        found = self.page.locator("#explorer tbody tr").evaluate_all(
            "rows => rows.map(row => row.dataset.cell)"
        )
        return [str(one) for one in found]

    def __enter__(self) -> Sheet:
        return self

    def __exit__(self, *_: object) -> None:
        self.page.close()


def test_the_answers_stand_at_the_top(browser: Any, mixed: Path) -> None:
    with Sheet(browser, mixed) as sheet:
        page = sheet.page
        assert page.inner_text("#state").startswith("Red: ")
        assert "11 of 12 planned cells were measured" in page.inner_text(".state")
        worse = page.inner_text("#worse")
        assert "npu_cycles by 11.1%" in worse
        assert "Vela: version 5.1.0 -> 5.2.0" in worse
        told = worse.count("Since commit c0ffeec0ff, run 20261129-030000-1")
        assert told == 2, "of the cycles and of the time"
        choice = page.inner_text("#choices")
        assert "smaller weights help" in choice
        assert "clustered on 32 MACs" in choice, "pruned has fewer cycles, and fails"
        assert sheet.trouble == []


def test_charts_are_there_and_not_empty(browser: Any, mixed: Path) -> None:
    with Sheet(browser, mixed) as sheet:
        sheet.charts()
        for name in CHARTS:
            marks = sheet.page.locator(
                f"#chart-{name} svg .mark-symbol path, #chart-{name} svg .mark-rect path"
            ).count()
            assert marks >= 3, name
        lines = sheet.page.locator("#chart-cycles svg .mark-line path").count()
        assert lines >= 6, "three variants, and an ideal line for each"
        assert sheet.trouble == []


def test_cells_are_filtered_sorted_and_found(browser: Any, mixed: Path) -> None:
    with Sheet(browser, mixed) as sheet:
        page = sheet.page
        assert len(sheet.rows()) == 12
        worst = sheet.rows()[:5]
        assert all("pruned" in cell or cell == LOST for cell in worst)
        page.select_option("#filter-macs", "128")
        page.select_option("#filter-variant", "pruned")
        assert sheet.rows() == [REGRESSED]
        page.click("#clear")
        page.select_option("#filter-change", "improved")
        assert {cell.split("-")[1] for cell in sheet.rows()} == {"clustered"}
        page.click("#clear")
        page.fill("#search", "u55_32-")
        assert len(sheet.rows()) == 3
        page.fill("#search", "")
        page.click('button[data-key="npu_cycles"]')
        assert sheet.rows()[0].startswith("net-pruned-")
        assert sheet.rows()[-1] == LOST, "what has no figure comes last"
        page.click('button[data-key="npu_cycles"]')
        assert sheet.rows()[0].startswith("net-base-")
        assert page.get_attribute("#explorer th:has(button[data-key=npu_cycles])", "aria-sort") == (
            "descending"
        )
        assert sheet.trouble == []


def test_each_cell_has_a_deep_link(browser: Any, mixed: Path) -> None:
    with Sheet(browser, mixed, f"#cell={REGRESSED}") as sheet:
        page = sheet.page
        page.wait_for_selector("#cell table")
        told = page.inner_text("#cell")
        assert page.inner_text("#cell-title") == REGRESSED
        assert not page.is_visible("#run")
        for words in (
            f"test_npu_cycles[{REGRESSED}]",
            "Vela: version 5.1.0 -> 5.2.0",
            "accepted 2026-11-01",
            "+11.1 %",
            "dense_1 is flash-bound",
            "compiled_sha256",
            "c0ffeec0ff",
        ):
            assert words in told, words
        page.wait_for_selector("#cell .chart svg")
        page.click("#cell a[href='#cells']")
        page.wait_for_selector("#run:visible")
        page.click(f"tr[data-cell='{LOST}'] a")
        page.wait_for_selector("#cell-title")
        assert "Vela crashed" in page.inner_text("#cell")
        assert "try another version" in page.inner_text("#cell")
        page.goto(mixed.as_uri() + "#cell=nothing")
        assert "no cell nothing" in page.inner_text("#cell")
        assert sheet.trouble == []


def serious_findings(page: Any) -> list[tuple[str, str, list[str]]]:
    """What axe calls serious or critical on the page as it is now."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed (make foreign): NOT tried")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document)")
    assert len(found["passes"]) > 10
    return [
        (one["id"], one["help"], [node["html"][:200] for node in one["nodes"][:3]])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("fragment", ["", f"#cell={REGRESSED}"])
def test_axe_finds_nothing_serious(browser: Any, mixed: Path, scheme: str, fragment: str) -> None:
    with Sheet(browser, mixed, fragment, color_scheme=scheme) as sheet:
        if not fragment:
            sheet.charts()
        else:
            sheet.page.wait_for_selector("#cell .chart svg")
        assert serious_findings(sheet.page) == []


@pytest.mark.parametrize("name", ["mixed", "hostile"])
@pytest.mark.parametrize("width", [360, 768])
def test_nothing_scrolls_sideways(
    browser: Any, request: pytest.FixtureRequest, name: str, width: int
) -> None:
    path: Path = request.getfixturevalue(name)
    viewport = {"width": width, "height": 740}
    with Sheet(browser, path, viewport=viewport) as sheet:
        sheet.page.wait_for_selector("#chart-layers svg")
        assert sheet.page.evaluate("document.documentElement.scrollWidth") <= width
        sheet.page.click("#explorer tbody a")
        sheet.page.wait_for_selector("#cell-title")
        assert sheet.page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_hostile_record_is_harmless(browser: Any, hostile: Path) -> None:
    with Sheet(browser, hostile) as sheet:
        page = sheet.page
        page.wait_for_selector("#chart-layers svg")
        assert page.title().startswith("Red: ")
        for link in range(page.locator("#explorer tbody tr").count()):
            page.locator("#explorer tbody tr a").nth(link).click()
            page.wait_for_selector("#cell-title")
            assert "owned" not in page.title()
            assert page.locator("img").count() == 0
            told = page.inner_text("#cell")
            assert "</script><script>" in told, "shown, and not obeyed"
            assert "\\u202eevil" in told
            assert not set("\x00\x1b\u202e") & set(told)
            page.click("#cell a[href='#cells']")
        assert sheet.trouble == []


def test_the_colours_follow_the_system_and_the_button(browser: Any, mixed: Path) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    with Sheet(browser, mixed, color_scheme="dark") as sheet:
        sheet.charts()
        dark = sheet.page.evaluate(background)
        sheet.page.click("#theme")
        assert sheet.page.evaluate(background) != dark
        sheet.charts()
        assert sheet.trouble == []


def test_without_javascript_the_answers_stand(browser: Any, mixed: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(mixed.as_uri())
    assert "Red: " in page.inner_text("#state")
    assert "npu_cycles by 11.1%" in page.inner_text("#worse")
    assert REGRESSED in page.inner_text("#failing")
    context.close()


def test_the_trend_has_steps_and_changes_of_tools(
    browser: Any, mixed: Path, tmp_path: Path
) -> None:
    path = tmp_path / "trend.html"
    store = HistoryStore(mixed.parents[1] / "history.sqlite")
    found = store.series("npu_cycles", "*", Selection())
    views = [SeriesView(one, find_steps(one.points), is_noisy(one.points)) for one in found]
    path.write_text(trend_page(views, chart_library()), encoding="utf-8")
    page = browser.new_page(viewport={"width": 360, "height": 740})
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.goto(f"{path.as_uri()}#cell={REGRESSED}")
    page.wait_for_selector("#chart-trend svg")
    assert page.inner_text("#state") == "7 of 12 cells changed in the last run."
    assert page.locator("#chart-trend svg .mark-symbol path").count() == 6
    assert "ethos-u-vela 5.1.0 -> 5.2.0" in page.inner_text("#chart-trend")
    assert "+11.1 %" in page.inner_text("#steps")
    assert "Vela: version 5.1.0 -> 5.2.0" in page.inner_text("#steps")
    page.check("#only-steps")
    assert page.locator("#series option").count() == 7
    page.uncheck("#only-steps")
    page.select_option("#series", label="net-base-u55_32-shared_sram-sim")
    assert "no step" in page.inner_text("#steps")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert trouble == []
    assert serious_findings(page) == []
    page.close()


@pytest.mark.slow
@pytest.mark.speed
def test_an_interaction_with_many_cells_takes_no_time(browser: Any, tmp_path: Path) -> None:
    """10,000 cells; at most 200 ms for each interaction."""
    path = tmp_path / "many.html"
    text = run_page(many_cells_view(10_000), chart_library(), HistoryView(), {})
    path.write_text(text, encoding="utf-8")
    assert path.stat().st_size < 30_000_000

    def measure() -> Costs:
        with Sheet(browser, path) as sheet:
            page = sheet.page
            spent = page.evaluate(INTERACTIONS)
            start = time.monotonic()
            page.locator("#explorer tbody a").first.click()
            page.wait_for_selector("#cell-title")
            took = 1000 * (time.monotonic() - start)
            assert sheet.trouble == []
        return Costs(times={"interaction": max(spent.values()), "driver and click": took})

    hold(measure, Costs(times={"interaction": 200, "driver and click": 2000}))
