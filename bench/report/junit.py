"""The merged JUnit file for dashboards: one suite for each target and accelerator.

Dashboards differ in what they read (GitLab drops properties, others drop output), so every
figure stands in the suite's properties where it is common, in the case's output, and in the
first line of a failure. Names are unique: the cell's id and the metric.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from junit_xml import TestCase, TestSuite, to_xml_report_string

from bench.judging.verdicts import worst
from bench.records.record import Record, Status, SweepRecord, UnavailableRecord, Verdict
from bench.records.run_directory import OrderRecord

__all__ = ["merged_junit"]


def merged_junit(
    records: Sequence[Record],
    sweeps: Sequence[SweepRecord],
    orders: Sequence[OrderRecord],
    unavailable: Sequence[UnavailableRecord] = (),
) -> str:
    """The JUnit XML of a whole run. What is `unavailable` is skipped, with the reason."""
    suites = []
    for target, macs in dict.fromkeys((r.cell.target, r.cell.macs) for r in records):
        mine = [r for r in records if (r.cell.target, r.cell.macs) == (target, macs)]
        cases = [case for record in mine for case in _record_cases(record)]
        properties = {
            "target": target,
            "accelerator": macs.vela_name,
            "source": mine[0].measurement.source.value,
            "vela": mine[0].compilation.vela_version,
        }
        name = f"{target}.{macs.slug}"
        suites.append(TestSuite(name, cases, package=name, properties=properties))
    absent = [
        _case(f"{one.cell.workload}.{one.cell.variant}", [one.verdict]) for one in unavailable
    ]
    if absent:
        suites.append(TestSuite("unavailable", absent, package="unavailable"))
    group_cases = [_case("sweep", [s.verdict]) for s in sweeps]
    group_cases += [_case("order", [v]) for o in orders for v in o.verdicts]
    if group_cases:
        suites.append(TestSuite("groups", group_cases, package="groups"))
    return str(to_xml_report_string(suites))


def _record_cases(record: Record) -> Iterable[TestCase]:
    by_metric: dict[str, list[Verdict]] = {}
    for verdict in record.verdicts:
        by_metric.setdefault(verdict.metric, []).append(verdict)
    for verdicts in by_metric.values():
        yield _case(f"{record.cell.workload}.{record.cell.variant}", verdicts)


def _case(classname: str, verdicts: list[Verdict]) -> TestCase:
    decisive = worst(verdicts)
    case = TestCase(
        f"{decisive.subject}:{decisive.metric}",
        classname=classname,
        stdout="\n".join(v.line for v in verdicts),
    )
    if decisive.status in (Status.FAIL, Status.INCOMPLETE):
        case.add_failure_info(decisive.line)
    elif decisive.status is not Status.PASS:
        case.add_skipped_info(decisive.line)
    return case
