"""Everything that is known of one cell: figures, verdicts, layers, provenance, commands, logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.core.text import shell_words
from bench.judging.suites import suite_of
from bench.records.figures import shown
from bench.records.provenance import Stage, provenance_of
from bench.records.record import Record, Verdict
from bench.report.html.packing import rounded, text
from bench.report.view.causes import layer_causes
from bench.report.view.cells import CellView

__all__ = ["cell_details"]


def cell_details(cell: CellView, logs: Mapping[str, str]) -> dict[str, Any]:
    """The details of `cell` for a page.

    Args:
        cell: what is told of.
        logs: name of a log that is about this cell -> its end.
    """
    told: dict[str, Any] = {
        "headline": text(cell.headline),
        "logs": {text(name): text(end) for name, end in logs.items()},
    }
    if cell.unmeasured is not None:
        told["error"] = text(cell.unmeasured.error)
        told["reason"] = text(cell.unmeasured.reason)
        told["cure"] = text(cell.unmeasured.cure)
    if cell.record is not None:
        told |= _of_record(cell.record, cell)
    return told


def _of_record(record: Record, cell: CellView) -> dict[str, Any]:
    return {
        "figures": [
            {
                "metric": figure.metric.value,
                "value": rounded(figure.value),
                "absent": text(figure.absent),
                "before": rounded(figure.before),
                "change": figure.change.value,
                "limit": text(figure.limit),
                "status": figure.status.value.upper() if figure.status else "",
                "fails": int(figure.fails),
                "remark": text(figure.remark),
                "reason": text(figure.reason) if figure.fails or figure.cause else "",
            }
            for figure in cell.figures.values()
        ],
        "verdicts": [_verdict(verdict) for verdict in record.verdicts if verdict.fails],
        "commands": _commands(record),
        "explanation": text(record.measurement.explanation),
        "layers": [[text(layer.name), layer.cycles] for layer in layer_causes(record)],
        "made": _made(record),
        "changes": [text(change) for change in record.model.changes],
        "cpu": [text(name) for name in record.compilation.cpu_operators or ()],
        "counters": [
            [text(event), count, text(record.measurement.kinds.get(event, "measured"))]
            for event, count in record.measurement.counters.items()
        ],
        "uncounted": [[text(e), text(why)] for e, why in record.measurement.unavailable.items()],
    }


def _verdict(verdict: Verdict) -> list[str]:
    return [
        verdict.status.value.upper(),
        text(verdict.metric),
        text(verdict.finding),
        text(verdict.reason),
        text(verdict.key),
        text(shown(verdict.tolerance)),
    ]


def _commands(record: Record) -> dict[str, str]:
    """Suite -> the command that judges it again; those of failures first."""
    ordered = sorted(record.verdicts, key=lambda verdict: not verdict.fails)
    found: dict[str, str] = {}
    for verdict in ordered:
        found.setdefault(suite_of(verdict.metric), text(verdict.reproduce))
    return found


def _made(record: Record) -> list[list[Any]]:
    """Stage -> its facts, in the order of the work."""
    made = provenance_of(record)
    stages = [
        [stage.value, [[text(name), text(value)] for name, value in made.facts(stage).items()]]
        for stage in Stage
    ]
    stages.append(["compile command", [["vela", text(shell_words(record.compilation.command))]]])
    outputs = record.measurement.outputs_sha256 or text(record.measurement.outputs_absent)
    stages.append(["outputs", [["sha256", text(outputs)]]])
    return [stage for stage in stages if stage[1]]
