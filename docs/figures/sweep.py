"""Draw the MAC sweep of a finished run as an SVG, from the run's records alone.

    python docs/figures/sweep.py                     # results/latest -> docs/figures/mac_sweep.svg
    python docs/figures/sweep.py RUN_DIRECTORY OUT.svg

One panel a workload: NPU cycles over MAC units, both axes logarithmic, one line a variant; variants
whose lines coincide share one label. The file carries both a light and a dark palette and follows
the reader's setting.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from bench.core.files import write_atomically
from bench.plan.metrics import MetricName
from bench.records.figures import Absent
from bench.records.metric_values import metric_value
from bench.records.record import Record
from bench.records.run_directory import RunDirectory
from bench.report.published import matching
from targets.ethos_u55.memory_modes import MemoryMode

ROOT = Path(__file__).resolve().parent.parent.parent

#: What is drawn: the mode in which weights come from flash.
MODE = MemoryMode.SHARED_SRAM

#: Class of a variant's line, in the order of the configuration; more variants share the last.
CLASSES = ("a", "b", "c", "d")

STYLE = """
  .bg { fill: #ffffff } .ink { fill: #1b2430 } .soft { fill: #586374 }
  .grid { stroke: #d9dee6 } .ideal { stroke: #8a94a3 }
  .a { color: #1f5fbf } .b { color: #a33a8f } .c { color: #a85b00 } .d { color: #16774a }
  @media (prefers-color-scheme: dark) {
    .bg { fill: #12171e } .ink { fill: #e8edf4 } .soft { fill: #a3afbf }
    .grid { stroke: #2c3643 } .ideal { stroke: #75808f }
    .a { color: #79b0ff } .b { color: #ee92da } .c { color: #f5b455 } .d { color: #58cf96 }
  }
  text { font: 13px system-ui, sans-serif }
  .title { font-size: 15px; font-weight: 600 }
  .line { fill: none; stroke: currentColor; stroke-width: 2.2 }
  .dot { fill: currentColor } .label { fill: currentColor; font-weight: 600 }
  .seen { fill: none; stroke: currentColor; stroke-width: 1.8 }
  .grid, .ideal { fill: none; stroke-width: 1 } .ideal { stroke-dasharray: 5 4 }
"""

WIDTH, HEIGHT = 1000, 440
TOP, BOTTOM = 82, 368
PANEL_LEFT, PANEL_WIDTH, PANEL_STEP = 64, 270, 480
#: Two line ends nearer than this (fraction of the cycles) are one line to the eye.
SAME = 0.01
#: Least distance of two labels, in pixels.
LABEL_STEP = 16


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis: `low`..`high` is drawn from pixel `start` to pixel `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of `value`."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)


def cycles_of(records: Sequence[Record]) -> dict[str, dict[int, float]]:
    """Variant -> MAC units -> NPU cycles, for the records that have them."""
    lines: dict[str, dict[int, float]] = {}
    for record in sorted(records, key=lambda r: r.cell.macs):
        value = metric_value(record, MetricName.NPU_CYCLES)
        if not isinstance(value, Absent):
            lines.setdefault(record.cell.variant, {})[int(record.cell.macs)] = value
    return lines


def published_of(records: Sequence[Record]) -> list[tuple[str, int, int]]:
    """(variant, MAC units, NPU cycles) of the published rows for the same models."""
    return sorted(
        {
            (record.cell.variant, int(row.macs), row.npu_active_cycles)
            for record in records
            for row in matching(record)
            if row.npu_active_cycles is not None
        }
    )


def places(records: Sequence[Record]) -> list[str]:
    """On what the published rows of `records` were measured."""
    return sorted({row.measured_on for record in records for row in matching(record)})


def grouped(lines: Mapping[str, Mapping[int, float]]) -> list[list[str]]:
    """Variants whose lines coincide, largest cycles first."""
    groups: list[list[str]] = []
    for name in sorted(lines, key=lambda n: -lines[n][max(lines[n])]):
        for group in groups:
            other = lines[group[0]]
            if other.keys() == lines[name].keys() and all(
                abs(lines[name][m] / other[m] - 1) < SAME for m in other
            ):
                group.append(name)
                break
        else:
            groups.append([name])
    return groups


def spread(positions: Sequence[float]) -> list[float]:
    """Rising pixel positions moved apart to at least `LABEL_STEP`."""
    placed: list[float] = []
    for position in positions:
        placed.append(position if not placed else max(position, placed[-1] + LABEL_STEP))
    return placed


def panel(workload: str, records: Sequence[Record], left: float, y: Axis) -> list[str]:
    """The SVG elements of one workload."""
    lines = cycles_of(records)
    macs = sorted({m for line in lines.values() for m in line})
    x = Axis(macs[0], macs[-1], left + 18, left + PANEL_WIDTH - 18)
    right = left + PANEL_WIDTH
    out = [f'<text class="ink title" x="{left:.0f}" y="{TOP - 14}">{escape(workload)}</text>']
    for tick in ticks(y):
        out.append(f'<path class="grid" d="M{left:.0f} {y.at(tick):.1f}H{right:.0f}"/>')
        out.append(
            f'<text class="soft" text-anchor="end" x="{left - 8:.0f}" y="{y.at(tick) + 4:.1f}">'
            f"{tick // 1000:,} k</text>"
        )
    for mac in macs:
        out.append(
            f'<text class="soft" text-anchor="middle" x="{x.at(mac):.1f}" y="{BOTTOM + 20}">'
            f"{mac}</text>"
        )
    names = list(dict.fromkeys(r.cell.variant for r in records))
    css = {name: CLASSES[min(i, len(CLASSES) - 1)] for i, name in enumerate(names)}
    start = max(line[macs[0]] for line in lines.values() if macs[0] in line)
    reach = min(macs[-1], macs[0] * start / y.low)
    out.append(
        f'<path class="ideal" d="M{x.at(macs[0]):.1f} {y.at(start):.1f}'
        f'L{x.at(reach):.1f} {y.at(start * macs[0] / reach):.1f}"/>'
    )
    groups = grouped(lines)
    for group in reversed(groups):
        line = lines[group[0]]
        points = [(x.at(m), y.at(value)) for m, value in line.items()]
        path = "L".join(f"{px:.1f} {py:.1f}" for px, py in points)
        out.append(f'<g class="{css[group[0]]}"><path class="line" d="M{path}"/>')
        out += [f'<circle class="dot" cx="{px:.1f}" cy="{py:.1f}" r="3.5"/>' for px, py in points]
        out.append("</g>")
    for name, mac, cycles in published_of(records):
        px, py = x.at(mac), y.at(cycles)
        out.append(
            f'<g class="{css[name]}">'
            f'<path class="seen" d="M{px:.1f} {py - 6:.1f}l6 6 -6 6 -6 -6z"/></g>'
        )
    ends = [y.at(lines[group[0]][max(lines[group[0]])]) for group in groups]
    for group, position in zip(groups, spread(ends), strict=True):
        text = "all variants" if len(group) == len(lines) > 1 else ", ".join(group)
        text = text.replace("_", " + ")
        out.append(
            f'<g class="{css[group[0]]}"><text class="label" x="{right:.0f}" '
            f'y="{position + 4:.1f}">{escape(text)}</text></g>'
        )
    return out


def ticks(y: Axis) -> list[int]:
    """Round cycle counts within the axis: 1, 2 and 5 times powers of ten."""
    found = []
    for exponent in range(3, 10):
        found += [step * 10**exponent for step in (1, 2, 5)]
    return [tick for tick in found if y.low <= tick <= y.high]


def draw(records: Sequence[Record]) -> str:
    """The figure of `records`, which are all of one target and of the drawn memory mode."""
    workloads = list(dict.fromkeys(r.cell.workload for r in records))
    values = [
        v
        for name in workloads
        for line in cycles_of([r for r in records if r.cell.workload == name]).values()
        for v in line.values()
    ]
    y = Axis(min(values) / 1.25, max(values) * 1.15, BOTTOM, TOP)
    source = records[0].measurement.source.value
    target = records[0].cell.target
    title = "NPU cycles of one inference over the MAC units"
    legend = (
        f"target {target} ({source}), {MODE.value}, {records[0].data.name}; dashed: ideal scaling"
        + "".join(f"; diamonds: published, {place}" for place in places(records))
    )
    width = max(WIDTH, 2 * 20 + PANEL_STEP * len(workloads))
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" role="img" '
        f'aria-labelledby="t d">',
        f'<title id="t">{title}</title><desc id="d">{escape(describe(records, workloads))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="bg" width="{width}" height="{HEIGHT}"/>',
        f'<text class="ink title" x="20" y="26">{title}</text>',
        f'<text class="soft" x="20" y="46">{escape(legend)}</text>',
    ]
    for i, name in enumerate(workloads):
        mine = [r for r in records if r.cell.workload == name]
        out += panel(name, mine, PANEL_LEFT + i * PANEL_STEP, y)
        middle = PANEL_LEFT + i * PANEL_STEP + PANEL_WIDTH / 2
        out.append(
            f'<text class="soft" text-anchor="middle" x="{middle:.0f}" y="{BOTTOM + 42}">'
            "MAC units per cycle</text>"
        )
    return "\n".join([*out, "</svg>\n"])


def describe(records: Sequence[Record], workloads: Sequence[str]) -> str:
    """The figure in words, for those who do not see it."""
    sentences = []
    for name in workloads:
        for variant, line in cycles_of([r for r in records if r.cell.workload == name]).items():
            steps = ", ".join(f"{value:,.0f} at {macs}" for macs, value in line.items())
            sentences.append(f"{name} {variant}: {steps} MACs.")
    return " ".join(sentences)


def main() -> None:
    """Read a run, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", type=Path, default=ROOT / "results" / "latest")
    parser.add_argument(
        "out", nargs="?", type=Path, default=Path(__file__).parent / "mac_sweep.svg"
    )
    arguments = parser.parse_args()
    directory = RunDirectory(arguments.run)
    read = directory.planned_records()
    if read.unreadable:
        parser.error("; ".join(map(str, read.unreadable)))
    drawn = [r for r in read.found if r.cell.memory_mode is MODE]
    if not drawn:
        parser.error(f"{arguments.run} holds no cell measured in {MODE.value}")
    first = drawn[0].cell.target
    write_atomically(arguments.out, draw([r for r in drawn if r.cell.target == first]))


if __name__ == "__main__":
    main()
