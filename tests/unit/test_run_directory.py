"""A run's files, read back with distrust: one that is broken costs its own lines only."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from bench.core.errors import BenchError, TargetError
from bench.judging.suites import SUITES
from bench.judging.verdicts import judge_cell
from bench.measuring.measurements import EVENTS, keep_measurement
from bench.records.cases import Case, CaseOutcome, Selection
from bench.records.quality import AccuracyRecord
from bench.records.record import Record, Verdict
from bench.records.run import OrderRecord, RunManifest, Surroundings
from bench.records.run_directory import RunDirectory
from bench.report.run_view import RunView, read_run, write_junit
from bench.report.table import render, unmeasured_table, unreadable_table, workload_tables
from targets.protocol import Measurement, Source
from tests.support.records import dense_layer_cell, dense_layer_record

VARIANTS = ("a", "b", "c")
CELLS = {name: dense_layer_cell(name).id for name in VARIANTS}
#: What is damaged below.
BROKEN = f"cells/{CELLS['b']}.json"


def reproduce(metric: str, subject: str) -> str:
    return f"pytest {metric} {subject}"


def judged(variant: str) -> Record:
    record = dense_layer_record(variant)
    counters = record.measurement.counters
    absent = {event: "no such counter" for event in EVENTS if event not in counters}
    measurement = record.measurement.model_copy(update={"unavailable": absent})
    record = record.model_copy(
        update={"measurement": measurement, "reference_absent": "not executed"}
    )
    return record.model_copy(update={"verdicts": judge_cell(record, record, (), reproduce)})


def make_run(path: Path) -> RunDirectory:
    """Three measured cells, an order over them, and every test passed."""
    cells = tuple(dense_layer_cell(name) for name in VARIANTS)
    run = RunDirectory.create(
        path,
        RunManifest.now(
            config_path=Path("bench.toml"),
            config_sha256="",
            data="d",
            cells=cells,
            config_lines={},
            timing={},
            surroundings=Surroundings(),
        ),
    )
    cases = [
        Case(suite=suite, subject=cell.id, nodeid=f"{suite}[{cell.id}]", cells=(cell.id,))
        for cell in cells
        for suite in SUITES
    ]
    order = Case(
        suite="variant_order", subject="w-order", nodeid="o", cells=tuple(c.id for c in cells)
    )
    run.write_selection(Selection(cases=(*cases, order)))
    for name in VARIANTS:
        run.write_record(judged(name))
    verdicts = tuple(judged("a").verdicts[:1])
    run.write_order(OrderRecord(id="w-order", cells=order.cells, verdicts=verdicts))
    for case in (*cases, order):
        run.append_outcome(CaseOutcome(nodeid=case.nodeid, outcome="passed", seconds=1))
    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("made") / "run").path


@pytest.fixture
def run(made: Path, tmp_path: Path) -> RunDirectory:
    shutil.copytree(made, tmp_path / "run")
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def no_hang() -> Iterator[None]:
    def out_of_time(number: int, frame: object) -> None:
        raise TimeoutError("a report hangs")

    before = signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def told(view: RunView) -> str:
    """The tables as a terminal shows them."""
    tables = workload_tables(view.studies, 120)
    tables += unmeasured_table(view.unmeasured) + unreadable_table(view.unreadable)
    return render(tables, 250)


def cases_of(run: RunDirectory, view: RunView) -> dict[str, str]:
    """What the JUnit file says of each case: `passed`, `skipped`, or the type of an error."""
    tree = ElementTree.parse(write_junit(run, view))
    found = {}
    for case in tree.iter("testcase"):
        error = case.find("error")
        kind = "passed" if case.find("skipped") is None else "skipped"
        found[case.attrib["name"]] = kind if error is None else error.attrib["type"]
    return found


def test_a_sound_run_reads_whole(run: RunDirectory) -> None:
    view = read_run(run)
    assert view.unreadable == ()
    assert [record.cell.variant for record in view.records] == list(VARIANTS)
    assert not any(case.fails for case in view.cases)


def _edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def harm(path: Path) -> None:
        document = json.loads(path.read_text(encoding="utf-8"))
        change(document)
        path.write_text(json.dumps(document), encoding="utf-8")

    return harm


def _replaced(pattern: str, text: str) -> Callable[[Path], None]:
    def harm(path: Path) -> None:
        changed, times = re.subn(pattern, text, path.read_text(encoding="utf-8"), count=1)
        assert times == 1
        path.write_text(changed, encoding="utf-8")

    return harm


def _written(content: bytes) -> Callable[[Path], None]:
    def harm(path: Path) -> None:
        path.write_bytes(content)

    return harm


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def _of_another_cell(path: Path) -> None:
    shutil.copy(path.with_name(f"{CELLS['a']}.json"), path)


def _of_another_kind(path: Path) -> None:
    shutil.copy(path.parents[1] / "orders" / "w-order.json", path)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _link(goal: str) -> Callable[[Path], None]:
    def harm(path: Path) -> None:
        path.unlink()
        path.symlink_to(goal)

    return harm


HARMS: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (_written(b""), "Expecting value"),
    "cut": (_truncate, "line"),
    "binary": (_written(bytes(range(256))), "utf-8"),
    "no object": (_written(b"[1, 2]"), "valid dictionary"),
    "deep": (_written(b"[" * 100_000), "nests too deeply"),
    "NaN": (_replaced('"value": 0.95', '"value": NaN'), "NaN is no number"),
    "infinity": (_replaced('"value": 0.95', '"value": -Infinity'), "-Infinity is no number"),
    "too large": (_replaced('"value": 0.95', '"value": 1e999'), "1e999 is no number"),
    "many digits": (_replaced('"NPU_ACTIVE": 1000', f'"NPU_ACTIVE": {10**400}'), "64 bits"),
    "very many digits": (_replaced('"NPU_ACTIVE": 1000', '"NPU_ACTIVE": ' + "9" * 9999), "64 bits"),
    "no number": (_replaced('"NPU_ACTIVE": 1000', '"NPU_ACTIVE": "many"'), "counters.NPU_ACTIVE"),
    "null": (_replaced('"value": 0.95', '"value": null'), "accuracy.value"),
    "newer": (_edited(lambda d: d.update(schema_version=3)), "schema_version"),
    "unknown key": (_edited(lambda d: d.update(surprise=1)), "unknown key 'surprise'"),
    "lost key": (_edited(lambda d: d.pop("measurement")), "measurement: Field required"),
    "another cell's": (_of_another_cell, f"it is that of '{CELLS['a']}'"),
    "another kind": (_of_another_kind, "unknown key"),
    "pipe": (_pipe, "not a regular file"),
    "directory": (_directory, "not a regular file"),
    "device": (_link("/dev/zero"), "not a regular file"),
    "link to nothing": (_link("nowhere"), "No such file"),
}


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize("name", HARMS)
def test_a_broken_record_costs_its_own_lines_only(run: RunDirectory, name: str) -> None:
    sound = cases_of(run, read_run(run))
    harm, reason = HARMS[name]
    harm(run.path / BROKEN)
    view = read_run(run)
    assert [record.cell.variant for record in view.records] == ["a", "c"]
    (unreadable,) = view.unreadable
    assert unreadable.name == BROKEN
    assert reason in unreadable.reason
    assert str(unreadable).isprintable()
    # Every report says so, and no test has gone.
    assert BROKEN in told(view)
    found = cases_of(run, view)
    assert found.keys() == sound.keys()
    lost = {case for case, kind in found.items() if kind == "UnreadableRecord"}
    assert lost == {case for case in found if case.startswith(f"{CELLS['b']}:")}
    assert {c: kind for c, kind in found.items() if c not in lost} == {
        c: kind for c, kind in sound.items() if c not in lost
    }
    # Who asks for that record alone is told the file and the reason.
    with pytest.raises(BenchError, match=re.escape(str(run.path / BROKEN))):
        run.record(CELLS["b"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(garbage=st.binary(max_size=50), keep=st.floats(0, 1), cut=st.booleans())
def test_whatever_is_in_a_record_the_others_are_reported(
    run: RunDirectory, made: Path, garbage: bytes, keep: float, cut: bool
) -> None:
    content = (made / BROKEN).read_bytes()
    place = int(len(content) * keep)
    rest = b"" if cut else content[place + len(garbage) :]
    (run.path / BROKEN).write_bytes(content[:place] + garbage + rest)
    view = read_run(run)
    assert {"a", "c"} <= {record.cell.variant for record in view.records}
    assert (len(view.records) == 3) == (not view.unreadable)
    assert CELLS["a"].split("-")[1] in told(view)
    assert len(cases_of(run, view)) == 3 * len(SUITES) + 1


@pytest.mark.parametrize(
    "figure", ['"value": 1e308', '"value": 5e-324', '"value": -0.0', '"value": 1e30']
)
def test_figures_beyond_reason_are_shown_as_they_are(run: RunDirectory, figure: str) -> None:
    _replaced('"value": 0.95', figure)(run.path / BROKEN)
    _replaced('"NPU_ACTIVE": 1000', f'"NPU_ACTIVE": {2**63 - 1}')(run.path / BROKEN)
    view = read_run(run)
    assert view.unreadable == ()
    assert "9,223,372,036,854,775,80" in told(view)
    assert len(cases_of(run, view)) == 3 * len(SUITES) + 1


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize("harm", [_written(b"{"), _pipe, _directory, Path.unlink])
def test_without_the_list_of_tests_what_was_found_is_reported_and_no_report_is_green(
    run: RunDirectory, harm: Callable[[Path], None]
) -> None:
    harm(run.path / "selection.json")
    view = read_run(run)
    assert len(view.records) == 3
    assert "selection.json" in told(view)
    assert cases_of(run, view) == {"selection.json:unreadable": "UnreadableRecord"}


def test_a_line_that_is_no_outcome_costs_its_test_only(run: RunDirectory) -> None:
    path = run.path / "outcomes.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1][:20] + b"NaN\xff\n"
    path.write_bytes(b"".join(lines) + b'{"half')
    view = read_run(run)
    (unreadable,) = view.unreadable
    assert str(unreadable).startswith("outcomes.jsonl cannot be read: line 2: ")
    found = cases_of(run, view)
    # The record still tells how that test was judged.
    assert found.pop("outcomes.jsonl:unreadable") == "UnreadableRecord"
    assert set(found.values()) <= {"passed", "skipped"}


@pytest.mark.parametrize("folder", ["sweeps", "orders", "unmeasured"])
def test_broken_files_beside_the_records_are_named(run: RunDirectory, folder: str) -> None:
    (run.path / folder / "w-other.json").write_text("{}", encoding="utf-8")
    view = read_run(run)
    assert len(view.records) == 3
    assert [one.name for one in view.unreadable] == [f"{folder}/w-other.json"]
    assert cases_of(run, view)[f"{folder}/w-other.json:unreadable"] == "UnreadableRecord"


def test_the_record_of_a_cell_that_was_not_planned_is_foreign(run: RunDirectory) -> None:
    run.write_record(judged("d"))
    view = read_run(run)
    assert [record.cell.variant for record in view.records] == list(VARIANTS)
    (unreadable,) = view.unreadable
    assert unreadable.reason == "the run has no such cell"


def test_a_test_that_passed_and_left_no_record_is_an_error(run: RunDirectory) -> None:
    (run.path / BROKEN).unlink()
    found = cases_of(run, read_run(run))
    assert {found[f"{CELLS['b']}:{suite}"] for suite in SUITES} == {"NoRecord"}


#: U+FFFE and U+FFFF, control characters, lone surrogates; and what may stay.
FOREIGN = "a\ufffeb\uffffc\x1b[31md\x00e\udcfff\ud800"
CLEAN = "a\ufffdb\ufffdc\ufffd[31md\ufffde\ufffdf\ufffd"
FINE = "Größe\t日本\n\U0001d518\r\u202e"


def test_characters_that_xml_lacks_are_replaced_where_they_enter(run: RunDirectory) -> None:
    record = judged("b")
    layer = record.compilation.report.layers[0].model_dump()
    changed = Record.model_validate(
        record.model_dump()
        | {
            "data": {"name": FOREIGN, "sha256": "", "samples": 10},
            "measurement": record.measurement.model_dump()
            | {"provenance": {FOREIGN: FINE}, "unavailable": {"X": FOREIGN}},
            "compilation": record.compilation.model_dump()
            | {
                "report": record.compilation.report.model_dump()
                | {"layers": [layer | {"name": FOREIGN}]}
            },
        }
    )
    assert changed.data.name == CLEAN
    assert changed.measurement.provenance == {CLEAN: FINE}
    assert changed.compilation.report.layers[0].name == CLEAN
    run.write_record(changed)
    assert run.record(CELLS["b"]) == changed
    assert CLEAN in json.loads((run.path / BROKEN).read_text(encoding="utf-8"))["data"]["name"]


def test_characters_that_xml_lacks_in_a_file_are_replaced_too(run: RunDirectory) -> None:
    """As a record of an earlier version has them."""
    _replaced('"name": "d"', r'"name": "a\\ufffeb\\ud800c\\u001b"')(run.path / BROKEN)
    view = read_run(run)
    assert view.unreadable == ()
    assert view.records[1].data.name == "a\ufffdb\ufffdc\ufffd"


@given(text=st.text(st.characters(exclude_categories=())))
def test_a_verdict_of_any_text_is_xml(text: str) -> None:
    verdict = Verdict.model_validate(judged("a").verdicts[0].model_dump() | {"reason": text})
    element = ElementTree.Element("x", message=verdict.reason)
    assert ElementTree.fromstring(ElementTree.tostring(element)).tag == "x"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_no_figure_that_json_lacks_is_written(run: RunDirectory, value: float) -> None:
    record = judged("b")
    with pytest.raises(ValueError, match="finite"):
        AccuracyRecord.model_validate({"metric": "top1", "value": value, "samples": 1})
    # Past all checks, as by a copy.
    assert record.accuracy is not None
    bad = record.model_copy(
        update={"accuracy": record.accuracy.model_copy(update={"value": value})}
    )
    before = (run.path / BROKEN).read_bytes()
    with pytest.raises(BenchError, match=f"{re.escape(BROKEN)}: is not written"):
        run.write_record(bad)
    assert (run.path / BROKEN).read_bytes() == before


@pytest.mark.parametrize("count", [-1, 2**63, 1.5, float("nan"), None])
def test_what_is_no_count_is_refused_where_the_target_gives_it(tmp_path: Path, count: Any) -> None:
    counters = dict.fromkeys(EVENTS, 1) | {"NPU_ACTIVE": count}
    measurement = Measurement(source=Source.BOARD, outputs=(), counters=counters)
    with pytest.raises(TargetError, match=r"x: the target says that NPU_ACTIVE is .*, not a count"):
        keep_measurement(tmp_path, "x", measurement)


def test_tables_show_no_markup_of_others(run: RunDirectory) -> None:
    """A file's name and the fault in it are text, not rich's markup."""
    (run.path / "cells" / "[bold]x[nope].json").write_text('{"[/red]": 1}', encoding="utf-8")
    assert "[bold]x[nope].json" in told(read_run(run))
    assert Console().is_terminal is False
