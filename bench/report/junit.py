"""The JUnit file for dashboards: one suite per target and accelerator, one case per test.

Dashboards differ in what they read (GitLab drops properties, others drop output, Codecov needs text
inside `<failure>`). So the short message of a failure can stand alone, and its text has the whole
story. Names are unique and the same in every run: the id of the subject and the suite.
docs/junit.md is the contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from junit_xml import TestCase, TestSuite

from bench.core.text import xml_text
from bench.records.record import Record, Status
from bench.report.cases import CaseView

__all__ = ["junit_xml", "line_of"]

#: Statuses of what was judged and is as good as it should be.
_PASSED = (Status.PASS, Status.IMPROVED)
#: The suite of judgements over several cells.
_GROUPS = "groups"


def junit_xml(
    views: Sequence[CaseView],
    records: Mapping[str, Record],
    config: str,
    config_lines: Mapping[str, int],
) -> str:
    """The JUnit XML of a run.

    Args:
        views: its tests.
        records: the measured cells by id, for the properties of the suites.
        config: the configuration's path, as dashboards should show it.
        config_lines: key of the configuration -> its line.
    """
    root = ElementTree.Element("testsuites")
    suites: dict[str, list[CaseView]] = {}
    for view in views:
        suites.setdefault(_suite_of(view), []).append(view)
    for name, members in suites.items():
        properties = _properties(members, records) if name != _GROUPS else None
        cases = [_case(view, config, config_lines) for view in members]
        # The library's own text is made for people, and takes most of a minute for 10,000 cells.
        root.append(TestSuite(xml_text(name), cases, properties=properties).build_xml_doc())
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    root.set("time", str(sum(float(suite.get("time", "0")) for suite in root)))
    return _tidied(root)


def _suite_of(view: CaseView) -> str:
    """`sim.u55_128`, from the subject's id alone, so that an unmeasured cell keeps its suite."""
    match view.case.subject.split("-"):
        case [_, _, accelerator, _, target, *_] if len(view.case.cells) == 1:
            return f"{target}.{accelerator}"
    return _GROUPS


def _properties(views: Sequence[CaseView], records: Mapping[str, Record]) -> dict[str, str] | None:
    for view in views:
        record = records.get(view.case.subject)
        if record is not None:
            return {
                "target": xml_text(record.cell.target),
                "accelerator": record.cell.macs.vela_name,
                "source": record.measurement.source.value,
                "vela": xml_text(record.compilation.vela_version),
            }
    return None


def _case(view: CaseView, config: str, config_lines: Mapping[str, int]) -> TestCase:
    of_a_cell = len(view.case.cells) == 1
    classname = ".".join(view.case.subject.split("-")[:2]) if of_a_cell else view.case.suite
    # If a limit decided, this is its line, which a reviewer wants to see.
    line = line_of(view.key, config_lines)
    headline, text = xml_text(view.headline), xml_text(view.text)
    passed = not view.fails and view.status in _PASSED
    case = TestCase(
        xml_text(view.name),
        classname=xml_text(classname),
        elapsed_sec=view.seconds,
        stdout=text if passed else None,
        file=xml_text(config) if line else None,
        line=str(line) if line else None,
    )
    if view.status is Status.INCOMPLETE:
        case.add_error_info(headline, text, xml_text(view.error))
    elif view.fails:
        case.add_failure_info(headline, text)
    elif not passed:
        case.add_skipped_info(headline, text)
    return case


def line_of(key: str, lines: Mapping[str, int]) -> int | None:
    """The line of `key`, or of the nearest table around it."""
    while key:
        if key in lines:
            return lines[key]
        key = key.rpartition(".")[0]
    return None


def _tidied(root: ElementTree.Element) -> str:
    """The XML in the form that readers need.

    It has no `disabled`, which some readers take for a count of failures. Every case has a time,
    because Codecov gives a case without one the time of the whole suite; and no time has an
    exponent, which Jenkins refuses.
    """
    for element in root.iter():
        element.attrib.pop("disabled", None)
        if element.tag in ("testcase", "testsuite", "testsuites"):
            element.set("time", f"{float(element.get('time', '0')):.3f}")
    ElementTree.indent(root)
    return str(ElementTree.tostring(root, encoding="unicode", xml_declaration=True)) + "\n"
