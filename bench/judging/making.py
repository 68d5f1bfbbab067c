"""Verdicts and figures, made without validation, which is most of the time of judging. Pure.

Judging a grid makes a verdict for every figure of every cell. Each part has its type already. What
is read from a run's files is validated as ever.
"""

from __future__ import annotations

from typing import TypedDict, TypeVar

from bench.core.schema import RecordModel
from bench.records.figures import Absent, Category, Number
from bench.records.record import Status, Verdict

__all__ = ["Parts", "made_number", "made_verdict"]

_FAILING = (Status.FAIL, Status.INCOMPLETE)
_Model = TypeVar("_Model", bound=RecordModel)


class Parts(TypedDict, total=False):
    """The parts of a verdict that it can be without."""

    remark: str
    limit: Number | Category | None
    baseline: Number | Category | None
    tolerance: Number | None
    direction: str
    key: str
    foreseen: bool
    cause: str


def _made(model: type[_Model], fields: dict[str, object]) -> _Model:
    """A `model` of `fields`, which must be all of its fields and of their types.

    `model_construct` does the same ten times more slowly, as it looks for defaults and aliases.
    """
    made = model.__new__(model)
    # The state of a model without private attributes and extra fields; see pydantic.BaseModel.
    object.__setattr__(made, "__dict__", fields)
    object.__setattr__(made, "__pydantic_fields_set__", set(fields))
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made


def made_number(value: float, unit: str) -> Number:
    """A figure; `value` is finite."""
    return _made(Number, {"kind": "number", "value": float(value), "unit": unit})


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
    return _made(Verdict, fields)
