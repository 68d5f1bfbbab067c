"""How good a target's outputs are: against labels, and against the reference interpreter."""

from __future__ import annotations

from bench.core.schema import RecordModel

__all__ = ["AccuracyRecord", "OutputDifference", "ReferenceRecord"]


class AccuracyRecord(RecordModel):
    """The quality of the outputs over a labelled test set."""

    #: A metric of the bench's (`top1`), or a function of the user's (`metrics.py:within_one`).
    metric: str
    value: float
    samples: int
    #: Share of the inputs' values that were cut to the range of the model's inputs, 0..1.
    saturated: float = 0.0


class OutputDifference(RecordModel):
    """One output of the target against the reference interpreter's, bit by bit."""

    dtype: str
    elements: int
    mismatches: int
    #: The largest difference, in quantisation steps.
    largest: int


class ReferenceRecord(RecordModel):
    """The target's outputs against those of the reference interpreter, bit by bit."""

    #: Who gave them, with versions.
    interpreter: str
    #: Why a correct NPU may differ from them, in which case nothing is judged; empty: it may not.
    inexact: str = ""
    #: Inputs compared; the first ones of the test set.
    samples: int
    elements: int
    #: Elements that differ; a correct NPU has none.
    mismatches: int
    #: The largest difference, in quantisation steps.
    largest: int
    #: The same of each output, in the model's order; empty in older records.
    outputs: tuple[OutputDifference, ...] = ()
