"""Compare the cycle model with published cycle counts, and show how much of it they decided.

`python -m benchmarks.fidelity REFERENCE ZOO` rewrites the figures in `docs/fidelity.md`, between
its markers; `--check` only says whether they are current. REFERENCE is a directory with the four
artefacts on which the FVP rows were measured, ZOO one with the model from which they were compiled.
The exit status is 1 if a promise is broken: `kws_micronet_m` and `mnist_fc` within 3 % of every
published figure, and for both a smaller maximum error than that of Vela's own estimate.

`python -m benchmarks.fidelity --check` without the two directories compares only what needs no
artefact, names what it left out, and ends with 1.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.json_file import add_json_option, write_json
from benchmarks.markdown import table
from benchmarks.published_rows import (
    CHOICES,
    MODE,
    MODEL,
    PROFILE,
    STREAM_ON_AXI0,
    LeftOut,
    Row,
    fc_rows,
    kws_rows,
    leave_one_out,
)
from targets.ethos_u55.ports import PortMap
from targets.simulator.timing import estimate
from targets.simulator.timing.assumptions import DECIDED, Assumptions
from targets.simulator.timing.events import pmu_events
from targets.simulator.timing.work import network_work
from targets.simulator.traffic.network import network_traffic

PAGE = Path(__file__).resolve().parent.parent / "docs" / "fidelity.md"
#: What is promised, as a share.
LIMIT = 0.03
#: The figures between the page's markers, by name.
FIGURES = ("kws", "fc", "fc-stream-on-axi0", "left-out", "assumptions", "events")
_MARKED = re.compile(
    r"(?P<begin><!-- figures: (?P<name>[\w-]+) -->)\n.*?(?P<end><!-- end of figures -->)", re.DOTALL
)


@dataclass(frozen=True)
class Comparison:
    """The published rows next to ours. What needs artefacts is empty without them."""

    #: By the name of their table.
    rows: Mapping[str, Sequence[Row]]
    #: Every row under every choice of the assumptions.
    by_choice: Mapping[Assumptions, Sequence[Row]]
    left_out: Sequence[LeftOut]


def compare(artefacts: tuple[Path, Path] | None) -> Comparison:
    """Both networks, or `mnist_fc` alone without the directories REFERENCE and ZOO."""
    rows = {"fc": fc_rows(), "fc-stream-on-axi0": fc_rows(ports=STREAM_ON_AXI0)}
    if artefacts is None:
        return Comparison(rows, {}, ())
    by_choice = {c: [*kws_rows(*artefacts, c), *fc_rows(c)] for c in CHOICES}
    rows = {"kws": kws_rows(*artefacts), **rows}
    return Comparison(rows, by_choice, leave_one_out(by_choice))


def broken_promises(comparison: Comparison) -> list[str]:
    """What is wrong with the rows of each network; empty if every promise is kept."""
    wrong = []
    for rows in comparison.rows.values():
        wrong += [f"{row.label}: {row.error:+.2%}" for row in rows if abs(row.error) > LIMIT]
        ours, vela = (max(map(abs, errors)) for errors in zip(*map(_errors, rows), strict=True))
        if ours >= vela:
            wrong.append(f"{rows[0].label.split(',')[0]}: {ours:.2%}, Vela {vela:.2%}")
    return wrong


def _errors(row: Row) -> tuple[float, float]:
    return row.error, row.vela_error


def tables(comparison: Comparison) -> dict[str, str]:
    """The text between each pair of markers, by name, if there are figures for it."""
    text = {name: _row_table(rows) for name, rows in comparison.rows.items()}
    text["events"] = event_table()
    if comparison.by_choice:
        text["left-out"] = _left_out_table(comparison.left_out)
        text["assumptions"] = _assumption_table(comparison.by_choice)
    return text


def _row_table(rows: Sequence[Row]) -> str:
    beats = any(row.published_beats for row in rows)
    titles = ["Row", "Published", "`sim`", "Error", "Vela", "Error"]
    titles += ["AXI1 beats published", "`sim`"] if beats else []
    lines = []
    for row in rows:
        cells = [row.label, f"{row.published:,}", f"{row.ours:,.0f}", f"{row.error:+.1%}"]
        cells += [f"{row.vela:,.0f}", f"{row.vela_error:+.1%}"]
        cells += [f"{row.published_beats:,}", f"{row.beats:,.0f}"] if beats else []
        lines.append(cells)
    return table(titles, lines)


def _choice_text(choice: Assumptions) -> str:
    return (
        f"{choice.commands_ahead} ahead, {choice.under_way} under way, "
        f"restart {choice.restart}, {choice.pooling_bits} pooling bits"
    )


def _left_out_table(found: Sequence[LeftOut]) -> str:
    lines = []
    for each in found:
        by = "the other network" if each.whole_network else "the other seven rows"
        choices = f"{len(each.choices)} of {len(CHOICES)}"
        if len(each.choices) == 1:
            (only,) = each.choices
            choices = "as now" if only == DECIDED else _choice_text(only)
        low, high = min(each.errors), max(each.errors)
        error = f"{low:+.1%}" if f"{low:.1%}" == f"{high:.1%}" else f"{low:+.1%} to {high:+.1%}"
        lines.append((each.label, by, choices, error))
    return table(("Left out", "Decided by", "Choices left", "Error of the prediction"), lines)


def _assumption_table(rows: Mapping[Assumptions, Sequence[Row]]) -> str:
    """The choices that differ from the current one in one assumption, with every row's error."""
    labels = [row.label.removeprefix(f"{MODEL}, ") for row in rows[DECIDED]]
    lines = []
    for choice, mine in rows.items():
        pairs = zip(vars(choice).values(), vars(DECIDED).values(), strict=True)
        if sum(one != other for one, other in pairs) <= 1:
            name = ("as now: " if choice == DECIDED else "") + _choice_text(choice)
            lines.append((name, *(f"{row.error:+.1%}" for row in mine)))
    return table(("Choice", *labels), lines)


def event_table() -> str:
    """Every event of the PMU: how its value is obtained, and what is counted or why nothing is.

    Those of AXI1 are left out: they are those of AXI0 with numbers 256 higher.
    """
    nothing = estimate(network_work(network_traffic((), 0, PortMap()), 32), MODE, PROFILE)
    lines = []
    for event in pmu_events(nothing):
        if not event.name.startswith("AXI1"):
            name = event.name.replace("AXI0_", "AXI0, AXI1: ")
            text = event.meaning or event.reason
            lines.append((name, event.number, event.fidelity.value, text))
    return table(("Event", "Number", "Kind", "What is counted, or why nothing is"), lines)


def filled(page: str, text: Mapping[str, str]) -> str:
    """`page` with the text between its markers replaced, if there is a new one."""

    def replacement(match: re.Match[str]) -> str:
        name = match["name"]
        return f"{match['begin']}\n{text[name]}\n{match['end']}" if name in text else match[0]

    return _MARKED.sub(replacement, page)


def outdated(page: str, text: Mapping[str, str]) -> list[str]:
    """The names in `text` whose figures in `page` differ."""
    return [name for name in text if filled(page, {name: text[name]}) != page]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reference", type=Path, nargs="?", help="the artefacts of the FVP rows")
    parser.add_argument("zoo", type=Path, nargs="?", help=f"the directory of {MODEL}.tflite")
    parser.add_argument("--page", type=Path, default=PAGE, help="default: docs/fidelity.md")
    parser.add_argument("--check", action="store_true", help="change nothing")
    add_json_option(parser)
    arguments = parser.parse_args()
    artefacts = (arguments.reference, arguments.zoo) if arguments.zoo is not None else None
    if artefacts is None and (arguments.reference is not None or not arguments.check):
        parser.error("REFERENCE and ZOO are both needed to write the page")
    page = arguments.page.read_text(encoding="utf-8")
    marked = [match["name"] for match in _MARKED.finditer(page)]
    if sorted(marked) != sorted(FIGURES):
        parser.error(f"{arguments.page} has markers for {marked}, but the figures are {FIGURES}")
    comparison = compare(artefacts)
    text, broken = tables(comparison), broken_promises(comparison)
    others, missing = outdated(page, text), [name for name in FIGURES if name not in text]
    for name, figures in text.items():
        print(f"{name}\n{figures}\n")
    if not arguments.check:
        arguments.page.write_text(filled(page, text), encoding="utf-8")
    elif others:
        print(f"{arguments.page}: not current: {', '.join(others)}: run make fidelity")
    if missing:
        print(f"NOT COMPARED, because REFERENCE and ZOO are not given: {', '.join(missing)}")
    for promise in broken:
        print(f"BROKEN PROMISE: {promise}")
    results = {
        "limit": LIMIT,
        "rows": comparison.rows,
        "left_out": [
            {**vars(each), "as_decided": DECIDED in each.choices} for each in comparison.left_out
        ],
        "outdated": others,
        "missing": missing,
        "broken_promises": broken,
    }
    write_json(arguments.json, results)
    return 1 if broken or missing or (arguments.check and others) else 0


if __name__ == "__main__":
    sys.exit(main())
