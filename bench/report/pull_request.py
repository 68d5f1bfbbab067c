"""A run for a pull request: Markdown of bounded length, and annotations of the configuration.

GitHub's flavour. A step's summary holds 1 MiB and a comment 65,536 characters, and nobody reads
more than a screenful; so both are at most `LINES` lines and `BYTES` bytes. Names come from outside,
so each stands in a code span.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from bench.core.text import one_line, shell_words
from bench.plan.metrics import MetricName
from bench.report.cases import CaseView
from bench.report.comparison.markdown import code_span
from bench.report.junit import line_of
from bench.report.run_view import RunView
from bench.report.view.choices import choices_of
from bench.report.view.figures import Change
from bench.report.view.studies import least_certain, source_words, unsupported_of
from bench.report.view.summary import (
    Because,
    Regression,
    by_cause,
    regressions,
    skips,
    worst_cases,
)

__all__ = [
    "BYTES",
    "LINES",
    "Since",
    "because",
    "github_annotations",
    "pull_request_markdown",
]

#: Since when a metric is as it is in the first of some cells, in a sentence; or nothing.
Since: TypeAlias = Callable[[Sequence[str], str], str]

LINES, BYTES = 60, 64 * 1024
#: By which a bot finds its own comment again.
MARKER = "<!-- ethos-u55-bench -->"
#: Causes that are told first, and how many figures of each.
_CAUSES, _FIGURES = 3, 4
#: What people ask for first: is it still right, did it grow, does it fit, is it slower, and does it
#: wait for a memory? Other figures follow by their change.
_ASKED = (
    *(MetricName.REFERENCE, MetricName.ACCURACY, MetricName.CPU_OPERATORS),
    *(MetricName.ENCODED_WEIGHTS, MetricName.SRAM, MetricName.NPU_CYCLES, MetricName.MEMORY_WAIT),
)
_RANK = {metric.value: place for place, metric in enumerate(_ASKED)}
#: Rows of each table, and characters of a text in one.
_CHANGES, _FAILING, _CHOICES, _SKIPS, _UNSUPPORTED, _LONGEST = 8, 10, 8, 3, 4, 300
#: GitHub shows ten annotations of a kind for each step.
_ANNOTATIONS = 10


def pull_request_markdown(
    view: RunView, directory: str, since: Since = lambda cells, metric: ""
) -> str:
    """The run in at most `LINES` lines; `directory` is where it is, for the accepting command.

    `since` knows the history.
    """
    lines = list(_lines(view, directory, since))
    text = "\n".join(lines[:LINES]) + "\n"
    while len(text.encode("utf-8")) > BYTES:
        # Long names everywhere: the last lines are the least telling.
        lines.pop()
        text = "\n".join(lines[:LINES]) + "\n"
    return text


def _lines(view: RunView, directory: str, since: Since) -> Iterator[str]:
    summary = view.summary
    yield MARKER
    colour = "Green" if summary.green else "Red"
    yield f"**{colour}: {_tests(view)}** {_coverage(view)}"
    groups = regressions(view.cells, Change.REGRESSED, Change.IMPROVED)
    yield from because(by_cause(groups), since)
    yield from _undecided(view)
    changes = summary.changes
    yield from _table(
        [change.value if change is not Change.NEW else "not compared" for change in Change],
        [[f"{changes[change]:,}" for change in Change]],
    )
    yield from _changed(groups)
    yield from _failing(view)
    yield from _choices(view)
    found = skips(view.cases)
    if found:
        told = [f"{one.count} {code_span(one.what)} ({_cut(one.reason)})" for one in found[:_SKIPS]]
        more = f", and {len(found) - _SKIPS} more reasons" if len(found) > _SKIPS else ""
        yield from ("", f"Not judged: {', '.join(told)}{more}.")
    if changes[Change.REGRESSED] or changes[Change.IMPROVED] or changes[Change.NEW]:
        reason = ["--reason", "why"] if changes[Change.REGRESSED] else []
        command = shell_words(["bench", "baseline", "accept", directory, *reason])
        yield from ("", f"To accept the figures of this run: {code_span(command)}")


def _tests(view: RunView) -> str:
    summary = view.summary
    if summary.green:
        tests = "1 test" if summary.passed == 1 else f"{summary.passed:,} tests"
        return f"{tests} passed, none failed."
    if not summary.measured:
        return "no cell was measured."
    return f"{summary.failed:,} of {summary.tests:,} tests failed."


def _coverage(view: RunView) -> str:
    summary = view.summary
    share = summary.measured / summary.planned if summary.planned else 0
    words = f"{summary.measured:,} of {summary.planned:,} planned cells measured ({share:.0%})"
    if summary.unavailable:
        words += f", {summary.unavailable:,} unavailable"
    if summary.incomplete:
        words += f", {summary.incomplete:,} incomplete"
    sources = source_words(view.records)
    return f"{words}; {sources}." if sources else f"{words}."


def _undecided(view: RunView) -> Iterator[str]:
    """How sure the estimates are: the least certain one, and what nothing published supports."""
    found, unsupported = least_certain(view.cells), unsupported_of(view.records)
    if found or unsupported:
        yield ""
    if found:
        cell, words = found
        yield f"Estimated cycles could be off by as much as {words} ({_cut(cell)})."
    if unsupported:
        names = [_cut(one) for one in unsupported[:_UNSUPPORTED]]
        more = f" and {left} more" if (left := len(unsupported) - len(names)) else ""
        yield f"Nobody has published figures for {', '.join(names)}{more}."


def because(causes: Sequence[Because], since: Since) -> Iterator[str]:
    """What changed, by how much, since when and because of what: a line for each cause."""
    if not causes:
        return
    yield ""
    for one in causes[:_CAUSES]:
        cells = "1 cell" if one.cells == 1 else f"{one.cells:,} cells"
        how = "got worse" if one.change is Change.REGRESSED else "got better"
        why = f"because of {_cut(one.cause)}" if one.cause else "and nothing recorded differs"
        shown = sorted(one.groups, key=lambda group: _RANK.get(group.metric, len(_RANK)))[:_FIGURES]
        left = len(one.groups) - len(shown)
        more = f" and {left} more {'figure' if left == 1 else 'figures'}" if left else ""
        first = shown[0]
        accepted = f"; accepted {first.accepted}" if first.accepted else ""
        told = since(first.cells, first.metric)
        known = f" {_cut(told)}" if told else ""
        figures = ", ".join(f"{code_span(each.metric)} {each.moved}".rstrip() for each in shown)
        yield f"- **{cells} {how}** {why}: {figures}{more}{accepted}.{known}"
    if len(causes) > _CAUSES:
        yield f"- and {len(causes) - _CAUSES:,} more causes."


def _changed(groups: Sequence[Regression]) -> Iterator[str]:
    """What changed against the accepted figures, and why; what got worse first."""
    if not groups:
        return
    yield from _table(
        ["", "figure", "cells", "at most in", "cause"],
        [_group_row(group) for group in groups[:_CHANGES]],
    )
    if len(groups) > _CHANGES:
        yield from ("", f"and {len(groups) - _CHANGES} more changes.")


def _group_row(group: Regression) -> list[str]:
    cause = _cut(group.cause) if group.cause else "nothing recorded differs"
    return [
        group.change.value,
        _cut(group.finding),
        f"{len(group.cells):,}",
        _cut(group.cells[0]),
        cause,
    ]


def _failing(view: RunView) -> Iterator[str]:
    cases = worst_cases(view.cases)
    if not cases:
        return
    rows = [[one.status.value.upper(), _cut(one.name), _cut(one.headline)] for one in cases]
    yield from _table(["verdict", "test, worst first", "finding"], rows[:_FAILING])
    if len(cases) > _FAILING:
        yield from ("", f"and {len(cases) - _FAILING:,} more failed tests.")


def _choices(view: RunView) -> Iterator[str]:
    choices = choices_of(view.studies)
    rows = [
        [
            _cut(f"{one.workload}, {one.where}, {one.target}"),
            f"{_cut(one.headline)} {_cut(one.gains)}" if one.cell else one.why_none,
            _cut(one.bound),
        ]
        for one in choices[:_CHOICES]
    ]
    if rows:
        yield from _table(["workload", "suggested", "bound by"], rows)
    if len(choices) > _CHOICES:
        yield from ("", f"and {len(choices) - _CHOICES:,} more workloads and memory modes.")


def _cut(text: str) -> str:
    shown = one_line(text)
    return code_span(shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}...")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield ""
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' for _ in heads)} |"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def github_annotations(view: RunView) -> list[str]:
    """Commands of GitHub's runner that mark the lines of the configuration that decided.

    Of each line the worst finding; a failure that no line decided marks the file.
    """
    if view.manifest is None:
        return []
    path, lines = view.manifest.config_name, view.manifest.config_lines
    found: dict[int | None, list[CaseView]] = {}
    for case in worst_cases(view.cases):
        found.setdefault(line_of(case.key, lines), []).append(case)
    told = []
    for line, cases in list(found.items())[:_ANNOTATIONS]:
        place = f"file={_property(path)}" + (f",line={line}" if line else "")
        more = f" (and {len(cases) - 1:,} more)" if len(cases) > 1 else ""
        message = f"{cases[0].name}: {cases[0].headline}{more}"
        told.append(f"::error {place},title=Ethos-U55 bench::{_message(message)}")
    return told


def _message(text: str) -> str:
    """Text of a workflow command, in which a line end would begin another one."""
    shown = one_line(text)[: 4 * _LONGEST]
    return shown.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
