"""A run as metrics: OpenMetrics, Bencher's metric format, and github-action-benchmark's files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bench.plan.metrics import Better, MetricName, describe
from bench.report.exports.rows import FigureRow, figure_rows, fixed
from bench.report.run_view import RunView

__all__ = ["bencher_json", "benchmark_json", "openmetrics_text"]

_LABELS = ("cell", "workload", "variant", "macs", "memory_mode", "target", "vela", "source")


def openmetrics_text(view: RunView) -> str:
    """The figures as OpenMetrics 1.0, grouped by metric; GitLab reads it as a metrics report.

    A figure that is missing has no sample. The run itself is `bench_failed_tests` and its like.
    """
    by_metric: dict[str, list[FigureRow]] = {}
    for row in figure_rows(view):
        if row.value is not None:
            by_metric.setdefault(row.metric, []).append(row)
    lines: list[str] = []
    for metric in MetricName:
        rows = by_metric.get(metric.value, [])
        if rows:
            info = describe(metric)
            unit = f", in {info.unit}" if info.unit else ""
            better = f"{info.better.value} is better"
            lines += _family(f"bench_{metric.value}", f"{info.title}{unit}; {better}")
            lines += [_sample(f"bench_{row.metric}", row, row.value) for row in rows]
            lines += _ends(rows)
    summary = view.summary
    for name, what, count in (
        ("bench_planned_cells", "cells of the plan", summary.planned),
        ("bench_measured_cells", "cells that were measured", summary.measured),
        ("bench_tests", "tests of the run", summary.tests),
        ("bench_failed_tests", "tests that failed", summary.failed),
    ):
        lines += [*_family(name, what), f"{name} {count}"]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _family(name: str, told: str) -> list[str]:
    return [f"# TYPE {name} gauge", f"# HELP {name} {told}"]


def _sample(name: str, row: FigureRow, value: float | None) -> str:
    labels = ",".join(f'{label}="{_label(str(getattr(row, label)))}"' for label in _LABELS)
    assert value is not None, "samples are made of figures that exist"
    return f"{name}{{{labels}}} {fixed(value, row.unit)}"


def _ends(rows: Sequence[FigureRow]) -> list[str]:
    """Families of their own for what the estimates among `rows` could be."""
    lines: list[str] = []
    for end in ("low", "high"):
        found = [row for row in rows if getattr(row, end) is not None]
        if found:
            name = f"bench_{found[0].metric}_{end}"
            lines += _family(name, f"the {end} end of what the estimate could be")
            lines += [_sample(name, row, getattr(row, end)) for row in found]
    return lines


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def bencher_json(view: RunView) -> str:
    """Bencher's metric format: cell -> measure -> value, and what an estimate could be."""
    found: dict[str, dict[str, Any]] = {}
    for row in figure_rows(view):
        if row.value is not None:
            measure = row.metric.replace("_", "-")
            found.setdefault(row.cell, {})[measure] = _bencher_metric(row)
    return json.dumps(found, indent=1, allow_nan=False) + "\n"


def _bencher_metric(row: FigureRow) -> dict[str, float | None]:
    if row.low is None:
        return {"value": row.value}
    return {"value": row.value, "lower_value": row.low, "upper_value": row.high}


def benchmark_json(view: RunView, better: Better) -> str:
    """A file for github-action-benchmark (`customSmallerIsBetter` or `customBiggerIsBetter`).

    It has the figures that improve in one direction only, as the action compares all in a file the
    same way.
    """
    rows: Sequence[FigureRow] = [
        row for row in figure_rows(view) if row.value is not None and row.better == better.value
    ]
    document = [
        {
            "name": f"{row.cell} {row.metric}",
            "unit": row.unit or "share",
            "value": row.value,
            **_benchmark_range(row),
            "extra": f"{row.source}; Vela {row.vela}",
        }
        for row in rows
    ]
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _benchmark_range(row: FigureRow) -> dict[str, str]:
    """What the action prints behind the figure."""
    if row.low is None or row.high is None:
        return {}
    return {"range": f"{fixed(row.low, row.unit)} to {fixed(row.high, row.unit)}"}
