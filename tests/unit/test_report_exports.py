"""A run in the formats of others: each is read by a program of others, and says the same."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from bench.core.errors import ConfigError
from bench.plan.metrics import MetricName
from bench.records.record import Record
from bench.report.exports.document import ExportedRun
from bench.report.exports.rows import columns, figure_rows
from bench.report.exports.writing import FORMATS, parsed_export, write_export
from bench.report.pull_request import (
    BYTES,
    LINES,
    because,
    github_annotations,
    pull_request_markdown,
)
from bench.report.run_view import RunView, read_run
from bench.report.view.figures import Change
from bench.report.view.summary import by_cause, regressions
from targets.protocol import Uncertainty
from tests.support.report_runs import (
    LOST,
    REGRESSED,
    hostile_run,
    many_cells_view,
    mixed_run,
    view_of_records,
)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return read_run(mixed_run(tmp_path_factory.mktemp("mixed")))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return read_run(hostile_run(tmp_path_factory.mktemp("hostile")))


def cycles(view: RunView) -> dict[str, float]:
    """Cell -> NPU cycles, of those that have any."""
    found = {cell.id: cell.value(MetricName.NPU_CYCLES) for cell in view.cells}
    return {cell: value for cell, value in found.items() if value is not None}


def of_csv(path: Path) -> dict[str, float]:
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {
        r["cell"]: float(r["value"]) for r in rows if r["metric"] == "npu_cycles" and r["value"]
    }


def of_parquet(path: Path) -> dict[str, float]:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is missing")
    rows = parquet.read_table(path).to_pylist()
    return {
        r["cell"]: r["value"]
        for r in rows
        if r["metric"] == "npu_cycles" and r["value"] is not None
    }


def of_openmetrics(path: Path) -> dict[str, float]:
    text = path.read_text(encoding="utf-8")
    assert text.endswith("# EOF\n")
    families = {one.name: one for one in text_string_to_metric_families(text)}
    assert "bench_failed_tests" in families
    found = families.get("bench_npu_cycles")
    return {s.labels["cell"]: s.value for s in found.samples} if found else {}


def of_json(path: Path) -> dict[str, float]:
    run = ExportedRun.model_validate_json(path.read_bytes())
    return {
        cell.id: figure.value
        for cell in run.cells
        for figure in cell.figures
        if figure.metric == "npu_cycles" and figure.value is not None
    }


def of_bencher(path: Path) -> dict[str, float]:
    found = json.loads(path.read_text(encoding="utf-8"))
    return {c: m["npu-cycles"]["value"] for c, m in found.items() if "npu-cycles" in m}


def of_benchmark(path: Path) -> dict[str, float]:
    smaller, bigger = (
        json.loads(path.with_suffix(f".{word}.json").read_text(encoding="utf-8"))
        for word in ("smaller", "bigger")
    )
    names = [one["name"] for one in (*smaller, *bigger)]
    assert len(names) == len(set(names)), "a figure is in one of the files"
    assert all(one["name"].endswith((" accuracy", " npu_active_share")) for one in bigger)
    suffix = " npu_cycles"
    return {
        one["name"].removesuffix(suffix): one["value"]
        for one in smaller
        if one["name"].endswith(suffix)
    }


READERS: dict[str, Callable[[Path], dict[str, float]]] = {
    "csv": of_csv,
    "parquet": of_parquet,
    "openmetrics": of_openmetrics,
    "json": of_json,
    "bencher": of_bencher,
    "github-benchmark": of_benchmark,
}


@pytest.mark.parametrize("name", READERS)
def test_every_reader_finds_the_same_figures(view: RunView, name: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    write_export(view, name, path)
    found = READERS[name](path)
    assert found == cycles(view)
    assert len(found) == 11
    assert LOST not in found, "what is missing is no figure, and not 0"


@pytest.mark.parametrize("name", FORMATS)
def test_a_hostile_record_is_read_in_every_format(
    hostile: RunView, name: str, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    write_export(hostile, name, path)
    if name in READERS:
        assert READERS[name](path) == {}, "its target lost the counter"
    written = [path, *path.glob("*")] if path.is_dir() else list(tmp_path.iterdir())
    for one in written:
        if one.is_file() and name != "parquet":
            raw = set(one.read_text(encoding="utf-8"))
            assert not set("\x00\x1b") & raw


def test_the_same_figures_give_the_same_metrics(view: RunView, tmp_path: Path) -> None:
    """GitLab compares them as text; so nothing but figures may differ."""
    for name in ("a", "b"):
        write_export(view, "openmetrics", tmp_path / name)
    lines = (tmp_path / "a").read_text(encoding="utf-8").splitlines()
    assert lines == (tmp_path / "b").read_text(encoding="utf-8").splitlines()
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(families) == len(set(families)), "all samples of a metric stand together"
    sizes = [line for line in lines if line.startswith("bench_device_model_kib{")]
    assert all(len(line.rpartition(".")[2]) == 4 for line in sizes)


def test_the_document_keeps_to_its_schema(view: RunView, tmp_path: Path) -> None:
    write_export(view, "json", tmp_path / "run.json")
    document = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, ExportedRun.model_json_schema())
    (worse,) = [cell for cell in document["cells"] if cell["id"] == REGRESSED]
    assert worse["outcome"] == "regressed"
    figures = {figure["metric"]: figure for figure in worse["figures"]}
    assert figures["npu_cycles"]["cause"] == "Vela: version 5.1.0 -> 5.2.0"
    assert figures["npu_active_share"]["value"] is None
    assert figures["npu_active_share"]["absent"]


def test_a_spreadsheet_computes_nothing(view: RunView, tmp_path: Path) -> None:
    record = view.records[0]
    cell = record.cell.model_copy(update={"workload": "=HYPERLINK(1)"})
    evil = record.model_copy(update={"cell": cell})
    write_export(view_of_records([evil]), "csv", tmp_path / "out.csv")
    rows = csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text(encoding="utf-8")))
    assert {row["workload"] for row in rows} == {"'=HYPERLINK(1)"}


def test_rows_name_all_there_is_to_know(view: RunView) -> None:
    rows = list(figure_rows(view))
    assert len(rows) == 11 * len(MetricName)
    assert all(row.value is not None or row.absent for row in rows)
    assert len(columns()) == len(set(columns()))


LEAST, UNSURE = "least sure", "unsure"


@pytest.fixture(scope="module")
def unsure(view: RunView) -> RunView:
    """Two cells of which the target says what their cycles could be, and one without."""
    names = iter(((UNSURE, 0.97), (LEAST, 0.9)))

    def with_range(record: Record) -> Record:
        name, low = next(names)
        count = record.measurement.counters["NPU_ACTIVE"]
        could_be = Uncertainty(low=round(count * low), high=round(count * 1.05))
        measurement = record.measurement.model_copy(
            update={"uncertainty": {"NPU_ACTIVE": could_be}, "unsupported": ("int16",)}
        )
        cell = record.cell.model_copy(update={"id": name})
        return record.model_copy(update={"cell": cell, "measurement": measurement})

    first, second, third = view.records[:3]
    return view_of_records([with_range(first), with_range(second), third])


def test_what_an_estimate_could_be_is_in_every_format(unsure: RunView, tmp_path: Path) -> None:
    record = next(one for one in unsure.records if one.cell.id == LEAST)
    could_be = record.measurement.uncertainty["NPU_ACTIVE"]
    low, high = could_be.low, could_be.high
    for name in ("csv", "json", "openmetrics", "bencher", "github-benchmark"):
        write_export(unsure, name, tmp_path / name)

    rows = list(csv.DictReader(io.StringIO((tmp_path / "csv").read_text(encoding="utf-8"))))
    of_cycles = {row["cell"]: row for row in rows if row["metric"] == "npu_cycles"}
    assert (float(of_cycles[LEAST]["low"]), float(of_cycles[LEAST]["high"])) == (low, high)
    assert of_cycles[LEAST]["unsupported"] == "int16"
    told = {row["cell"] for row in rows if row["low"]}
    assert told == {LEAST, UNSURE}, "who says nothing has no range, and none of 0"
    milliseconds = next(r for r in rows if r["cell"] == LEAST and r["metric"] == "inference_ms")
    ratio = float(milliseconds["low"]) / float(milliseconds["value"])
    assert ratio == pytest.approx(0.9, abs=1e-4)

    run = ExportedRun.model_validate_json((tmp_path / "json").read_bytes())
    cells = {cell.id: cell for cell in run.cells}
    figures = {figure.metric: figure for figure in cells[LEAST].figures}
    assert (figures["npu_cycles"].low, figures["npu_cycles"].high) == (low, high)
    assert cells[LEAST].unsupported == ("int16",)

    text = (tmp_path / "openmetrics").read_text(encoding="utf-8")
    families = {one.name: one.samples for one in text_string_to_metric_families(text)}
    ends = {
        name: {s.labels["cell"]: s.value for s in families[f"bench_npu_cycles_{name}"]}
        for name in ("low", "high")
    }
    assert (ends["low"][LEAST], ends["high"][LEAST]) == (low, high)
    assert len(ends["low"]) == 2

    found = json.loads((tmp_path / "bencher").read_text(encoding="utf-8"))
    bencher = found[LEAST]["npu-cycles"]
    assert (bencher["lower_value"], bencher["upper_value"]) == (low, high)

    smaller = json.loads((tmp_path / "github-benchmark.smaller.json").read_text(encoding="utf-8"))
    entry = next(one for one in smaller if one["name"] == f"{LEAST} npu_cycles")
    assert entry["range"] == f"{low} to {high}"


def test_a_pull_request_says_how_sure_the_estimates_are(unsure: RunView, view: RunView) -> None:
    text = pull_request_markdown(unsure, "results/x")
    assert f"could be off by as much as -10.0% to +5.0% (`{LEAST}`)." in text
    assert "Nobody has published figures for `int16`." in text
    assert "could be off" not in pull_request_markdown(view, "results/x")


def test_allure_counts_as_junit_does(view: RunView, tmp_path: Path) -> None:
    write_export(view, "allure", tmp_path / "out")
    results = [
        json.loads(path.read_text(encoding="utf-8")) for path in (tmp_path / "out").glob("*.json")
    ]
    statuses = [one["status"] for one in results]
    failed = statuses.count("failed") + statuses.count("broken")
    summary = view.summary
    counts = (statuses.count("passed"), failed, statuses.count("skipped"))
    assert counts == (summary.passed, summary.failed, summary.skipped)
    assert len({one["historyId"] for one in results}) == summary.tests


def test_model_explorer_gets_the_cycles_of_each_tensor(view: RunView, tmp_path: Path) -> None:
    write_export(view, "model-explorer", tmp_path / "out")
    files = list((tmp_path / "out").iterdir())
    assert len(files) == 11
    for path in files:
        (graph,) = json.loads(path.read_text(encoding="utf-8")).values()
        assert all(one["value"] > 0 for one in graph["results"].values())


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="did you mean 'parquet'"):
        parsed_export("parket=x")
    with pytest.raises(ConfigError, match="where to"):
        parsed_export("csv")
    assert parsed_export("csv=a=b") == ("csv", Path("a=b"))


def test_a_pull_request_gets_the_worst_first(view: RunView) -> None:
    text = pull_request_markdown(view, "results/x")
    assert "**Red: 11 of 84 tests failed.** 11 of 12 planned cells measured (92%)" in text
    assert "| 4 | 3 | 4 | 0 |" in text
    assert text.index("regressed | `npu_cycles") < text.index("improved | `npu_cycles")
    assert "`Vela: version 5.1.0 -> 5.2.0`" in text
    assert "`bench baseline accept results/x --reason why`" in text


def test_a_pull_request_says_what_changed_by_how_much_since_when_and_why(view: RunView) -> None:
    def since(cells: Sequence[str], metric: str) -> str:
        return f"Since run 7 of 2026-11-20: {metric} of {cells[0]}."

    lines = pull_request_markdown(view, "results/x", since).splitlines()
    assert lines[2] == ""
    assert lines[3:5] == [
        f"- **{cells} cells got {how}** because of `Vela: version 5.1.0 -> 5.2.0`: `npu_cycles` "
        f"{by}, `inference_ms` {by}; accepted 2026-11-01. `Since run 7 of 2026-11-20: npu_cycles "
        f"of {worst}.`"
        for cells, how, by, worst in (
            (4, "worse", "+11.1%", "net-pruned-u55_256-shared_sram-sim"),
            (3, "better", "-16.7%", "net-clustered-u55_32-shared_sram-sim"),
        )
    ]


def test_figures_that_people_ask_for_come_first(view: RunView) -> None:
    group, *_ = regressions(view.cells, Change.REGRESSED)
    groups = [
        replace(group, metric=metric.value, largest=1 / place)
        for place, metric in enumerate(reversed(MetricName), start=1)
    ]
    (cause,) = by_cause(groups)
    (_, line) = because([cause], lambda cells, metric: "")
    told = re.findall(r"`(\w+)` [+-]", line)
    assert told == ["reference_mismatches", "accuracy", "cpu_operators", "encoded_weights_kib"]
    assert f"and {len(MetricName) - 4} more figures" in line


def test_many_causes_are_counted(view: RunView) -> None:
    group, *_ = regressions(view.cells, Change.REGRESSED)
    causes = by_cause([replace(group, cause=f"cause {i}") for i in range(7)])
    lines = list(because(causes, lambda cells, metric: ""))
    assert [*lines][-1] == "- and 4 more causes."
    assert len(lines) == 5
    unknown = list(because(by_cause([replace(group, cause="")]), lambda cells, metric: ""))
    assert "and nothing recorded differs" in unknown[-1]


@pytest.mark.parametrize("which", ["mixed", "hostile", "many"])
def test_a_summary_is_short_whatever_the_run(which: str, view: RunView, hostile: RunView) -> None:
    run = {"mixed": view, "hostile": hostile, "many": None}[which] or many_cells_view(10_000)
    text = pull_request_markdown(run, "results/x")
    assert len(text.splitlines()) <= LINES
    assert len(text.encode("utf-8")) <= BYTES
    # Nothing stands outside a code span that could be markup, or call somebody.
    for line in text.splitlines()[1:]:
        bare = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", line)
        assert not set("<>@") & set(bare), line


@pytest.mark.parametrize("which", ["mixed", "hostile"])
def test_annotations_are_one_command_a_line(which: str, view: RunView, hostile: RunView) -> None:
    lines = github_annotations(view if which == "mixed" else hostile)
    assert lines
    for line in lines:
        assert line.startswith("::error file=bench.toml")
        assert "\n" not in line
        assert line.count("::") >= 2


def test_figures_that_json_lacks_are_absent(view: RunView) -> None:
    assert not any(row.value is not None and math.isnan(row.value) for row in figure_rows(view))
