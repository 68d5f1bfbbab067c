"""The page of a run: one file that opens offline, with the answers first and every cell behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.report.html.answers import failing_rows, green, group_rows, tiles, worse
from bench.report.html.charts import chart_specs
from bench.report.html.details import cell_details
from bench.report.html.history import history_data
from bench.report.html.overview import cell_columns, metric_infos
from bench.report.html.packing import compressed
from bench.report.html.rendering import asset, render_page
from bench.report.html.study_rows import study_data
from bench.report.run_history import HistoryView
from bench.report.run_view import RunView
from bench.report.view.choices import RULE, choices_of
from bench.report.view.studies import source_words
from bench.report.view.summary import skips
from targets.protocol import Source

__all__ = ["run_page"]

#: Cells whose details are compressed together: more are smaller, and take longer to unpack.
_EACH = 50
#: Suggestions that are shown at once, and in all.
_CHOICES, _MOST_CHOICES = 6, 60
_SKIPS = 50
_SCRIPTS = ("dom.js", "core.js", "explorer.js", "charts.js", "study.js", "cell.js", "main.js")


def run_page(
    view: RunView, library: str, history: HistoryView, logs: Mapping[str, Mapping[str, str]]
) -> str:
    """The HTML of the run.

    Args:
        view: what was found.
        library: the script that draws charts; see `chart_library`.
        history: the cells' figures over the runs.
        logs: cell -> name of a log that is about it -> its end.
    """
    places = {cell.id: i for i, cell in enumerate(view.cells)}
    data = {
        "cells": cell_columns(view),
        "metrics": metric_infos(),
        "studies": [study_data(study, places) for study in view.studies],
        "history": history_data(history, places),
        "charts": chart_specs(),
        "each": _EACH,
    }
    chunks = compressed((cell_details(cell, logs.get(cell.id, {})) for cell in view.cells), _EACH)
    code = "\n".join(asset(name) for name in _SCRIPTS)
    ours = f'(() => {{\n"use strict";\n{code}\n}})();\n'
    return render_page("page.html.jinja", _values(view, history), data, chunks, [library, ours])


def _values(view: RunView, history: HistoryView) -> dict[str, Any]:
    failing, failing_left = failing_rows(view.cases, (cell.id for cell in view.cells))
    changes, changes_left = group_rows(view)
    records = view.records
    sources = {record.measurement.source for record in records}
    return {
        "name": view.name,
        "about": _about(view),
        "summary": view.summary,
        "green": green(view.summary),
        "tiles": tiles(view.summary),
        "worse": worse(view, history),
        "choices": choices_of(view.studies),
        "shown_choices": _CHOICES,
        "most_choices": _MOST_CHOICES,
        "several_targets": len({study.target for study in view.studies}) > 1,
        "rule": RULE,
        "source": source_words(records),
        "estimated": sources <= {Source.SIMULATED, Source.ESTIMATE},
        "failing": failing,
        "failing_left": failing_left,
        "changes": changes,
        "changes_left": changes_left,
        "studied": bool(view.studies),
        "skipped": [
            {"count": s.count, "what": s.what, "status": s.status.value.upper(), "reason": s.reason}
            for s in skips(view.cases)[:_SKIPS]
        ],
        "unreadable": [str(one) for one in view.unreadable[:_SKIPS]],
        "facts": _facts(view),
    }


def _about(view: RunView) -> str:
    """The run in a line: when, of which commit, on what, by which Vela."""
    words = [f"Run {view.name}"]
    if view.manifest is not None:
        words.append(view.manifest.started[:16].replace("T", " "))
        revision = view.manifest.surroundings.revision
        if revision.commit:
            branch = f" on {revision.branch}" if revision.branch else ""
            changed = ", with changes" if revision.dirty else ""
            words.append(f"commit {revision.commit[:10]}{branch}{changed}")
    velas = sorted({record.compilation.vela_version for record in view.records})
    if velas:
        words.append(f"Vela {', '.join(velas[:5])}")
    targets = sorted({record.cell.target for record in view.records})
    if targets:
        words.append(f"target {', '.join(targets)}")
    return " · ".join(words)


def _facts(view: RunView) -> list[tuple[str, str]]:
    manifest = view.manifest
    if manifest is None:
        return []
    surroundings = manifest.surroundings
    revision = surroundings.revision
    facts = [
        ("started", manifest.started),
        ("host", manifest.host),
        ("platform", f"{manifest.platform}, Python {manifest.python}"),
        ("configuration", f"{manifest.config_name} (sha256 {manifest.config_sha256[:16]})"),
        ("data", manifest.data),
        ("commit", f"{revision.commit or revision.absent} {revision.branch}".strip()),
        ("CI job", surroundings.ci_job.address or surroundings.ci_job.absent),
        *surroundings.tools.items(),
        *surroundings.tools_absent.items(),
    ]
    return [(name, value) for name, value in facts if value]
