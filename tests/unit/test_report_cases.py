"""The reports' view of a run: no test is lost, none looks better than it ended; and its JUnit."""

from __future__ import annotations

from itertools import product
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import JUnitXml

from bench.judging.suites import GROUP_SUITES, SUITES
from bench.records.cases import Case, CaseOutcome
from bench.records.figures import Category
from bench.records.record import CellIdentity, Status, SweepRecord, UnmeasuredRecord, Verdict
from bench.report.cases import CaseView, Findings, case_views
from bench.report.junit import junit_xml
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode

CELL = "w-v-u55_32-shared_sram-sim"
SWEEP = "w-v-shared_sram-sim"


def identity(cell: str = CELL) -> CellIdentity:
    return CellIdentity(
        id=cell,
        workload="w",
        variant="v",
        macs=Accelerator.U55_32,
        memory_mode=MemoryMode.SHARED_SRAM,
        target="sim",
        system_config="s",
        timing="t",
    )


def unmeasured(status: Status, reason: str = "Vela crashed\nmore words") -> UnmeasuredRecord:
    return UnmeasuredRecord.model_validate(
        {
            "cell": identity(),
            "status": status,
            "error": "CompilerError",
            "reason": reason,
            "cure": "do this",
        }
    )


def case(suite: str = "accuracy") -> Case:
    if suite in GROUP_SUITES:
        return Case(suite=suite, subject=SWEEP, nodeid=f"t::{suite}[{SWEEP}]", cells=(CELL, "x"))
    return Case(suite=suite, subject=CELL, nodeid=f"t::{suite}[{CELL}]", cells=(CELL,))


def sweep(status: Status, measured: str = "memory-bound", key: str = "") -> SweepRecord:
    verdict = Verdict(
        status=status,
        subject=SWEEP,
        metric="mac_sweep",
        measured=Category(value=measured),
        limit=Category(value="compute-bound"),
        direction="exactly",
        reason="because",
        reproduce="pytest x",
        key=key,
    )
    return SweepRecord(id=SWEEP, cells=(CELL, "x"), verdict=verdict)


def findings(*found: UnmeasuredRecord | SweepRecord) -> Findings:
    return Findings.of(
        (),
        [one for one in found if isinstance(one, UnmeasuredRecord)],
        [one for one in found if isinstance(one, SweepRecord)],
        (),
    )


def outcome(of: Case, how: str, text: str = "") -> CaseOutcome:
    return CaseOutcome.model_validate(
        {"nodeid": of.nodeid, "outcome": how, "seconds": 1.5, "text": text}
    )


def xml(views: list[CaseView], lines: dict[str, int] | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(junit_xml(views, {}, "bench.toml", lines or {}))


def test_what_never_ran_is_an_error() -> None:
    (view,) = case_views([case()], findings(), [])
    assert (view.status, view.error) == (Status.INCOMPLETE, "NotJudged")
    (error,) = xml([view]).iter("error")
    assert error.attrib["type"] == "NotJudged"
    assert error.text


def test_a_cell_that_could_not_be_measured_keeps_all_its_names() -> None:
    cases = [case(suite) for suite in (*SUITES, "mac_sweep")]
    views = case_views(cases, findings(unmeasured(Status.INCOMPLETE)), [])
    found = {c.attrib["name"]: c for c in xml(views).iter("testcase")}
    assert set(found) == {f"{c.subject}:{c.suite}" for c in cases}
    for one in found.values():
        error = one.find("error")
        assert error is not None
        assert error.attrib == {"type": "CompilerError", "message": "Vela crashed"}
        assert "do this" in (error.text or "")


def test_an_unavailable_cell_is_skipped_under_its_usual_names() -> None:
    measured, absent = case("accuracy"), unmeasured(Status.UNAVAILABLE, "no board")
    here = xml(case_views([measured], findings(), []))
    gone = xml(case_views([measured], findings(absent), [outcome(measured, "skipped")]))
    for tree in (here, gone):
        (suite,) = tree
        assert suite.attrib["name"] == "sim.u55_32"
        assert [c.attrib["name"] for c in suite.iter("testcase")] == [f"{CELL}:accuracy"]
        assert "package" not in suite.attrib
        assert "disabled" not in suite.attrib
    (skipped,) = gone.iter("skipped")
    assert "no board" in (skipped.text or "")


@pytest.mark.parametrize("order", [("passed", "failed"), ("failed", "passed")])
def test_a_dead_worker_costs_a_test_its_pass(order: tuple[str, str]) -> None:
    """Its death is told when it is known, before or after what another says of the same test."""
    one = case("mac_sweep")
    words = {"failed": "worker 'gw0' crashed while running", "passed": ""}
    views = case_views(
        [one], findings(sweep(Status.PASS)), [outcome(one, how, words[how]) for how in order]
    )
    assert views[0].status is Status.INCOMPLETE
    assert views[0].fails
    assert "crashed" in views[0].headline


def test_a_failure_points_at_the_limit_that_decided() -> None:
    one = case("mac_sweep")
    broken = sweep(Status.FAIL, key="workloads.w.limits[3].max")
    views = case_views([one], findings(broken), [outcome(one, "failed")])
    (found,) = xml(views, {"workloads.w.limits[3]": 17, "workloads.w": 2}).iter("testcase")
    assert (found.attrib["file"], found.attrib["line"]) == ("bench.toml", "17")
    (failure,) = found.iter("failure")
    assert failure.attrib["message"] == "mac_sweep memory-bound, must be exactly compute-bound"
    assert "reproduce: pytest x" in (failure.text or "")
    passing = case_views([one], findings(sweep(Status.PASS)), [outcome(one, "passed")])
    (found,) = xml(passing).iter("testcase")
    assert "file" not in found.attrib
    assert "reproduce" not in (found.findtext("system-out") or "")
    assert float(found.attrib["time"]) == 1.5


def view(status: Status, headline: str, text: str) -> CaseView:
    """A case of these words, as they are before any file has been written."""
    fails = status in (Status.FAIL, Status.INCOMPLETE)
    error = "Incomplete" if status is Status.INCOMPLETE else ""
    return CaseView(case(), status, headline, text, error, fails=fails)


#: Status -> the element that tells of it.
ELEMENTS = {
    Status.PASS: "system-out",
    Status.FAIL: "failure",
    Status.INCOMPLETE: "error",
    Status.UNAVAILABLE: "skipped",
}


@pytest.mark.parametrize("status", ELEMENTS)
@pytest.mark.parametrize("lacking", ["\ufffe", "\uffff", "\ud800", "\x00", "\x1b"])
def test_what_xml_lacks_is_replaced_in_the_file(status: Status, lacking: str) -> None:
    written = junit_xml(
        [view(status, f"left{lacking}right", f"the{lacking} story")], {}, "bench.toml", {}
    )
    (told,) = ElementTree.fromstring(written.encode("utf-8")).iter(ELEMENTS[status])
    assert told.text == "the\ufffd story"
    assert told.attrib.get("message", "left\ufffdright") == "left\ufffdright"


@pytest.mark.parametrize("status", ELEMENTS)
@given(text=st.text(st.characters(exclude_categories=()) | st.sampled_from("]]><&\"'"), min_size=1))
def test_any_text_makes_a_file_that_can_be_read(status: Status, text: str) -> None:
    written = junit_xml([view(status, text, text)], {}, "bench.toml", {})
    read = JUnitXml.fromstring(written.encode("utf-8"))
    assert read.tests == 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*SUITES, *GROUP_SUITES]),
            st.sampled_from([None, "passed", "failed", "skipped"]),
        ),
        unique_by=lambda pair: pair[0],
    ),
    st.sampled_from([None, Status.UNAVAILABLE, Status.INCOMPLETE]),
    st.sampled_from([None, *Status]),
)
def test_no_test_is_lost_and_none_looks_better_than_it_ended(
    tests: list[tuple[str, str | None]], lost: Status | None, swept: Status | None
) -> None:
    cases = [case(suite) for suite, _ in tests]
    found: list[UnmeasuredRecord | SweepRecord] = []
    if lost is not None:
        found.append(unmeasured(lost))
    if swept is not None:
        found.append(sweep(swept))
    ended = [outcome(c, how) for c, (_, how) in zip(cases, tests, strict=True) if how]
    views = case_views(cases, findings(*found), ended)
    assert [view.case for view in views] == cases
    for view, (_, how) in zip(views, tests, strict=True):
        if how == "failed":
            assert view.fails
        if not view.verdicts and lost is None:
            assert view.fails, "nothing is known of it"


def test_names_do_not_depend_on_the_outcome() -> None:
    cases = [case(suite) for suite in (*SUITES, *GROUP_SUITES)]
    names = set()
    for lost, how in product((None, Status.UNAVAILABLE, Status.INCOMPLETE), ("passed", "failed")):
        found = findings(unmeasured(lost)) if lost else findings()
        tree = xml(case_views(cases, found, [outcome(c, how) for c in cases]))
        names.add(
            tuple(
                (suite.attrib["name"], c.attrib["classname"], c.attrib["name"])
                for suite in tree
                for c in suite.iter("testcase")
            )
        )
    assert len(names) == 1
