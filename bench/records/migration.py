"""Records of older schema versions, as the present one has them.

Version 1 kept the figures of verdicts as text (`92,654 cycles (estimate; Vela's: 90,112)`), and
`absent` with the reason elsewhere. Version 2 has numbers with units. What the text of version 1
rounds stays rounded: KiB to two decimals, accuracies to four.
"""

from __future__ import annotations

import re
from typing import Any

from bench.plan.metrics import MetricName, describe

__all__ = ["migrated"]

_NUMBER = re.compile(r"(-?[\d,]+(?:\.\d+)?)\b")
_REMARK = re.compile(r"\((.*)\)$", re.DOTALL)


def migrated(document: Any) -> Any:
    """`document`, the JSON of any record, in the present schema; unchanged if it is of it.

    What is not a record of version 1 is returned as it is, and validation says what is wrong.
    """
    if not isinstance(document, dict) or document.get("schema_version") != 1:
        return document
    changed = dict(document)
    if "verdict" in changed:
        changed["verdict"] = _verdict(changed["verdict"])
    if isinstance(changed.get("verdicts"), list):
        changed["verdicts"] = [_verdict(verdict) for verdict in changed["verdicts"]]
    changed["schema_version"] = 2
    return changed


def _verdict(verdict: Any) -> Any:
    if not isinstance(verdict, dict) or not isinstance(verdict.get("measured"), str):
        return verdict
    measured, limit = verdict["measured"], verdict.get("limit", "")
    unit = _unit(verdict.get("metric"))
    remark = _REMARK.search(measured)
    changed = {
        **verdict,
        "measured": _figure(measured, unit, str(verdict.get("reason", ""))),
        "limit": _figure(limit, unit, "") if limit else None,
    }
    if unit is not None and remark is not None:
        changed["remark"] = remark[1]
    return changed


def _figure(text: str, unit: str | None, reason: str) -> dict[str, Any]:
    if text == "absent":
        return {"kind": "absent", "reason": reason}
    number = _NUMBER.match(text)
    if unit is None or number is None:
        return {"kind": "category", "value": text}
    return {"kind": "number", "value": float(number[1].replace(",", "")), "unit": unit}


def _unit(metric: Any) -> str | None:
    """The unit of a judged figure; None for judgements over several cells."""
    try:
        return describe(MetricName(metric)).unit
    except ValueError:
        return None
