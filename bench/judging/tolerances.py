"""Outputs that may differ a little from the reference's, judged output by output. Pure."""

from __future__ import annotations

from bench.core.text import counted
from bench.plan.tolerance import WIDEST_BY_DTYPE, Tolerance
from bench.records.quality import OutputDifference, ReferenceRecord

__all__ = ["difference", "exceeded", "tolerance_words"]


def difference(reference: ReferenceRecord) -> str:
    """How much differs, in words."""
    return _words(reference.mismatches, reference.elements, reference.largest)


def tolerance_words(tolerance: Tolerance) -> str:
    """`1 step in 0.60 % of each output's elements`."""
    return f"{_steps(tolerance.steps)} in {_share(tolerance.share)} of each output's elements"


def exceeded(reference: ReferenceRecord, tolerance: Tolerance) -> str:
    """What is beyond `tolerance`, or beyond what any tolerance of the output's type may be.

    Empty if nothing is. One small output that is wrong does not hide behind a large one.
    """
    if not reference.mismatches:
        return ""
    if not reference.outputs:
        return "the record is from before outputs were compared one by one"
    found = (_beyond(i, output, tolerance) for i, output in enumerate(reference.outputs))
    return "; ".join(words for words in found if words)


def _beyond(number: int, output: OutputDifference, tolerance: Tolerance) -> str:
    if not output.mismatches:
        return ""
    where = f"output {number} ({output.dtype})"
    what = f"{where} differs in {_words(output.mismatches, output.elements, output.largest)}"
    widest = WIDEST_BY_DTYPE.get(output.dtype)
    if widest is None:
        return f"{what}, and values of this type are equal or wrong"
    allowed = tolerance.within(widest)
    if allowed.holds(output.largest, output.mismatches, output.elements):
        return ""
    if allowed == tolerance:
        return what
    return f"{what}; no limit tolerates more than {tolerance_words(widest)} of this type"


def _words(mismatches: int, elements: int, largest: int) -> str:
    share = mismatches / elements if elements else 0
    return f"{mismatches:,} of {elements:,} elements ({_share(share)}), by up to {_steps(largest)}"


def _steps(steps: int) -> str:
    return counted(steps, "step")


def _share(share: float) -> str:
    """Per cent with three significant digits; a share that is not 0 is not shown as 0."""
    return f"{share * 100:.3g} %"
