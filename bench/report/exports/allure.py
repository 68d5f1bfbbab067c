"""A run as Allure results: a directory with a JSON file for each test."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from typing import Any

from bench.core.text import one_line, printable
from bench.records.record import Status
from bench.report.cases import CaseView
from bench.report.run_view import RunView

__all__ = ["allure_files"]

_PASSED = (Status.PASS, Status.IMPROVED)


def allure_files(view: RunView) -> Iterator[tuple[str, str]]:
    """Name and text of each file of the directory."""
    for case in view.cases:
        document = _result(case, view)
        yield f"{document['uuid']}-result.json", json.dumps(document, indent=1)
    yield "environment.properties", "".join(_environment(view))


def _result(case: CaseView, view: RunView) -> dict[str, Any]:
    name = one_line(case.name)
    # The same in every run, by which Allure finds the history of a test.
    identity = hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()
    parts = case.case.subject.split("-")
    return {
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{view.name}/{identity}")),
        "historyId": identity[:32],
        "testCaseId": identity[:32],
        "fullName": name,
        "name": name,
        "status": _status(case),
        "statusDetails": {"message": one_line(case.headline), "trace": printable(case.text)},
        "stage": "finished",
        "start": 0,
        "stop": round(1000 * case.seconds),
        "labels": [
            {"name": "suite", "value": one_line(case.case.suite)},
            {"name": "parentSuite", "value": one_line(parts[0])},
            {"name": "framework", "value": "ethos-u55-bench"},
        ],
    }


def _status(case: CaseView) -> str:
    """Allure's word: what could not be judged is broken, not failed."""
    if case.status is Status.INCOMPLETE:
        return "broken"
    if case.fails:
        return "failed"
    return "passed" if case.status in _PASSED else "skipped"


def _environment(view: RunView) -> Iterator[str]:
    manifest = view.manifest
    if manifest is None:
        return
    facts = {
        "run": view.name,
        "commit": manifest.surroundings.revision.commit,
        **manifest.surroundings.tools,
    }
    for name, value in facts.items():
        yield f"{one_line(name)}={one_line(value)}\n".replace("\\", "\\\\")
