"""Verdicts and figures, made without validation, which is most of the time of judging. Pure.

Judging a grid makes a verdict for every figure of every cell. Each part has its type already. What
is read from a run's files is validated as ever.
"""

from __future__ import annotations

from typing import TypedDict

from bench.records.figures import Absent, Category, Number
from bench.records.made import made_model
from bench.records.record import Status, Verdict

__all__ = ["Parts", "made_number", "made_verdict"]

_FAILING = (Status.FAIL, Status.INCOMPLETE)


class Parts(TypedDict, total=False):
    """The parts of a verdict that it can be without."""

    remark: str
    limit: Number | Category | None
    baseline: Number | Category | None
    accepted: str
    tolerance: Number | None
    direction: str
    key: str
    foreseen: bool
    cause: str


def made_number(value: float, unit: str) -> Number:
    """A figure; `value` is finite."""
    return made_model(Number, {"kind": "number", "value": float(value), "unit": unit})


def made_verdict(
    status: Status,
    subject: str,
    metric: str,
    measured: Number | Category | Absent,
    reason: str,
    reproduce: str,
    parts: Parts,
) -> Verdict:
    """A verdict; see `Verdict` for its parts. Whether it fails is decided by its status."""
    fields: dict[str, object] = {
        "status": status,
        "subject": subject,
        "metric": metric,
        "measured": measured,
        "remark": "",
        "limit": None,
        "baseline": None,
        "accepted": "",
        "tolerance": None,
        "direction": "",
        "reason": reason,
        "cause": "",
        "reproduce": reproduce,
        "key": "",
        "foreseen": False,
        "fails": status in _FAILING,
        **parts,
    }
    return made_model(Verdict, fields)
