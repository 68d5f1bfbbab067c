"""Several runs as one: the shards of a grid, and cells that were run again.

Every planned cell must be reported, once for each suite. What is reported by no run is an error of
its own, so that a lost shard cannot make a merged report look better. Where runs overlap, the later
one counts; if the earlier one failed, the text says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.core.errors import BenchError
from bench.records.cases import Case, in_plan_order
from bench.records.joining import LOST, NOT_REPORTED, require_one_grid
from bench.records.record import Record, Status
from bench.records.run import RunManifest
from bench.report.cases import CaseView
from bench.report.junit import junit_xml
from bench.report.run_view import RunView

__all__ = ["MergedRuns", "junit_parts", "merge_runs", "missing_lines"]

#: Bytes of a case in the file besides its own text, and how full a part is made at first.
_CASE_BYTES, _FULL = 300, 0.9


@dataclass(frozen=True)
class MergedRuns:
    """The tests of all runs, each once."""

    cases: tuple[CaseView, ...]
    records: Mapping[str, Record]
    planned: int
    #: Planned cells that lack a report of a suite which other cells have.
    unreported: tuple[str, ...]
    #: Tests that more than one run reported.
    repeated: int
    config: str
    config_lines: Mapping[str, int]
    #: How many shards there are -> the numbers of those of which no run is here. One of them may
    #: have no cell, or its cells may be in other runs; see `unreported`.
    missing_shards: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    @property
    def green(self) -> bool:
        """Whether nothing failed and something was judged."""
        return bool(self.cases) and not any(case.fails for case in self.cases)


def merge_runs(views: Sequence[RunView]) -> MergedRuns:
    """All of `views`, the later ones counting where they overlap.

    Raises `BenchError` if there is no run, or the runs cannot be joined; see `require_one_grid`.
    """
    manifests = [view.manifest for view in views if view.manifest is not None]
    require_one_grid(manifests)
    ordered = sorted(views, key=lambda view: view.manifest.started if view.manifest else "")
    found: dict[str, CaseView] = {}
    repeated = 0
    for view in ordered:
        for case in view.cases:
            if case.error == "NotJudged" and case.name in found:
                # The later run ended before it came to this test.
                continue
            before = found.get(case.name)
            repeated += before is not None
            found[case.name] = case if before is None else _again(before, case)
    planned = list(dict.fromkeys(cell for m in manifests for cell in m.grid_cells))
    views_of = {id(view.case): view for view in found.values()}
    in_order = in_plan_order([view.case for view in found.values()], planned)
    lost = list(_unreported(planned, found))
    last = manifests[-1]
    return MergedRuns(
        cases=(*(views_of[id(case)] for case in in_order), *lost),
        records={r.cell.id: r for view in ordered for r in view.records},
        planned=len(planned),
        unreported=tuple(dict.fromkeys(case.case.subject for case in lost)),
        repeated=repeated,
        config=last.config_name,
        config_lines=last.config_lines,
        missing_shards=_missing_shards(manifests) if lost else {},
    )


def _again(before: CaseView, after: CaseView) -> CaseView:
    """A test that was run again. That it failed before is not forgotten."""
    if not before.fails or after.fails:
        return after
    told = f"It was run again. Before, it failed: {before.headline}"
    return replace(after, text=f"{after.text}\n{told}")


def _unreported(planned: Iterable[str], found: Mapping[str, CaseView]) -> Iterable[CaseView]:
    """An error for each planned cell and suite that no run reports."""
    single = [view.case for view in found.values() if len(view.case.cells) == 1]
    suites = list(dict.fromkeys(case.suite for case in single)) or ["unreported"]
    known = {(case.subject, case.suite) for case in single}
    for cell in planned:
        for suite in suites:
            if (cell, suite) not in known:
                case = Case(suite=suite, subject=cell, nodeid=f"{cell}:{suite}", cells=(cell,))
                yield CaseView(case, Status.INCOMPLETE, LOST, LOST, NOT_REPORTED, fails=True)


def junit_parts(merged: MergedRuns, most: int) -> list[str]:
    """The JUnit XML in as few parts as are below `most` bytes each, at least one.

    Raises `BenchError` if a single test is larger than that.
    """
    parts: list[list[CaseView]] = [[]]
    room = most * _FULL
    for case in merged.cases:
        size = _CASE_BYTES + 2 * len(case.name) + len(case.text)
        size += len(case.headline) if case.fails else 0
        if parts[-1] and size > room:
            parts.append([])
            room = most * _FULL
        parts[-1].append(case)
        room -= size
    return [text for part in parts for text in _below(merged, part, most)]


def _below(merged: MergedRuns, cases: Sequence[CaseView], most: int) -> list[str]:
    """The cases in one part, or in halves where the estimate was too small."""
    text = junit_xml(cases, merged.records, merged.config, merged.config_lines)
    if len(text.encode("utf-8")) <= most:
        return [text]
    if len(cases) == 1:
        raise BenchError(
            f"{cases[0].name}: its report alone is larger than {most:,} bytes",
            cure="allow larger parts with --max-mb",
        )
    middle = len(cases) // 2
    return [*_below(merged, cases[:middle], most), *_below(merged, cases[middle:], most)]


#: Cells to name one by one.
_NAMED = 40


def missing_lines(merged: MergedRuns) -> Iterator[str]:
    """Which shards are missing, and the cells that no run reports."""
    for count, numbers in merged.missing_shards.items():
        yield f"missing: shard {', '.join(f'{number}/{count}' for number in numbers)}"
    for cell in merged.unreported[:_NAMED]:
        yield f"INCOMPLETE: {cell}: {LOST}"
    if len(merged.unreported) > _NAMED:
        yield f"INCOMPLETE: {len(merged.unreported) - _NAMED:,} more; the JUnit file has them all"


def _missing_shards(manifests: Sequence[RunManifest]) -> dict[int, tuple[int, ...]]:
    """How many shards there are -> the numbers of those of which no run is here."""
    there: dict[int, set[int]] = {}
    for manifest in manifests:
        if manifest.shard is not None:
            there.setdefault(manifest.shard.count, set()).add(manifest.shard.number)
    missing = {n: tuple(i for i in range(1, n + 1) if i not in own) for n, own in there.items()}
    return {count: numbers for count, numbers in missing.items() if numbers}
