"""Where two compiled models part: the first layer that gives something else for the same input.

Both models run on the simulator, whatever target measured them, because it alone shows what each
operation writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.core.arrays import Array
from bench.core.errors import BenchError
from bench.history.comparison import Comparison, FirstDifference, OutputComparison, OutputOutcome
from bench.history.layer_outputs import LayerOutput, RunningModel, whole
from bench.records.record import Record

__all__ = ["MOST_INPUTS", "Pair", "first_difference", "with_first_differences"]

#: Inputs of the test set that are tried, at most. What changes a layer shows in the first few.
MOST_INPUTS = 256
#: How many are tried together, at most.
_TOGETHER = 32


@dataclass(frozen=True)
class Pair:
    """The two compiled models of a cell, and the same inputs fitted to each; `TestSet.inputs`."""

    a: RunningModel
    b: RunningModel
    inputs_a: Sequence[Array]
    inputs_b: Sequence[Array]
    #: Whether the inputs are streams.
    streams: bool = False


def with_first_differences(
    comparison: Comparison,
    records: Callable[[str], tuple[Record, Record] | None],
    pair: Callable[[Record, Record], Pair],
) -> Comparison:
    """`comparison` with the first layer that differs of every cell whose outputs differ.

    `records` gives the records of a cell on both sides; None where a side has none. `pair` prepares
    the two models, or raises `BenchError`, which says why nothing can be found. Cells that have
    models and outputs in common differ in the same place, so only one of them runs.
    """
    known: dict[tuple[str, ...], OutputComparison] = {}

    def found(cell_id: str) -> OutputComparison:
        both = records(cell_id)
        if both is None:
            return _unknown("there is no record of the run on both sides")
        key = tuple(
            text
            for record in both
            for text in (record.model.sha256, record.measurement.outputs_sha256, record.data.sha256)
        )
        if key not in known:
            known[key] = _searched(*both, pair)
        return known[key]

    cells = tuple(
        cell.model_copy(update={"outputs": found(cell.id)})
        if cell.outputs.outcome is OutputOutcome.DIFFERENT
        else cell
        for cell in comparison.cells
    )
    return comparison.model_copy(update={"cells": cells})


def _unknown(reason: str) -> OutputComparison:
    return OutputComparison(outcome=OutputOutcome.DIFFERENT, reason=reason)


def _searched(a: Record, b: Record, pair: Callable[[Record, Record], Pair]) -> OutputComparison:
    if a.compilation.sha256 == b.compilation.sha256:
        return _unknown("the compiled models are the same; data or target made the difference")
    try:
        found = first_difference(pair(a, b))
    except BenchError as error:
        return _unknown(f"{error.what}; {error.cure}" if error.cure else error.what)
    if isinstance(found, str):
        return _unknown(found)
    return OutputComparison(outcome=OutputOutcome.DIFFERENT, first=found)


def first_difference(pair: Pair) -> FirstDifference | str:
    """The first layer whose output differs, or why there is none.

    Raises `BenchError` if a model cannot be run.
    """
    row = _first_row(pair)
    if row is None:
        return (
            f"on the simulator the outputs for the first {len(pair.inputs_a[0]):,} inputs are "
            "the same"
        )
    mine = [array[row : row + 1] for array in pair.inputs_a]
    theirs = [array[row : row + 1] for array in pair.inputs_b]
    if not _equal(mine, theirs):
        return FirstDifference(
            layer="", input=row, remark="the inputs differ: they are quantised in another way"
        )
    steps = mine[0].shape[1] if pair.streams else 1
    inferences = zip(pair.a.layers(mine, steps), pair.b.layers(theirs, steps), strict=True)
    for step, (before, after) in enumerate(inferences):
        found = _first_layer(before, after)
        if found is not None:
            where = {"input": row, "step": step if pair.streams else None}
            return found.model_copy(update=where)
    return f"the outputs for input {row} differ, and no layer that both models have does"


def _first_row(pair: Pair) -> int | None:
    """The first input for which the models' outputs differ."""
    start, size = 0, 1
    rows = len(pair.inputs_a[0])
    while start < rows:
        part = slice(start, start + size)
        before = pair.a.outputs([array[part] for array in pair.inputs_a])
        after = pair.b.outputs([array[part] for array in pair.inputs_b])
        if [array.shape for array in before] != [array.shape for array in after]:
            return start
        same = np.ones(len(before[0]), bool)
        for one, other in zip(before, after, strict=True):
            same &= (one == other).reshape(len(one), -1).all(axis=1)
        if not same.all():
            return start + int(np.argmin(same))
        start, size = part.stop, min(_TOGETHER, 2 * size)
    return None


def _equal(one: Sequence[Array], other: Sequence[Array]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def _first_layer(
    before: Sequence[LayerOutput], after: Sequence[LayerOutput]
) -> FirstDifference | None:
    """The first layer, in A's order, that both have and that gives something else."""
    there = {layer.name: layer for layer in after}
    same, skipped = 0, []
    for layer in before:
        other = there.get(layer.name)
        found = None if other is None else _compared(layer, other)
        if found is None:
            skipped.append(layer.name)
        elif found.mismatches or found.remark:
            return found.model_copy(update={"same_before": same, "not_compared": tuple(skipped)})
        else:
            same += 1
    return None


def _compared(a: LayerOutput, b: LayerOutput) -> FirstDifference | None:
    """How the outputs of a layer differ; None if they cannot be compared."""
    alike = [part.values.shape for part in a.parts] == [part.values.shape for part in b.parts]
    if alike:
        for mine, other in zip(a.parts, b.parts, strict=True):
            found = _difference(a.name, mine.values, other.values, other.operation)
            if found.mismatches or found.remark:
                break
        return found
    mine_whole, other_whole = whole(a.parts), whole(b.parts)
    if mine_whole is None or other_whole is None:
        return None
    return _difference(a.name, mine_whole, other_whole, "")


def _difference(layer: str, a: Array, b: Array, operation: str) -> FirstDifference:
    remark = ""
    if a.shape != b.shape:
        remark = f"it gives {_shape(b)} instead of {_shape(a)}"
    elif a.dtype != b.dtype:
        remark = f"it gives {b.dtype} instead of {a.dtype}"
    if remark:
        return FirstDifference(layer=layer, operation=operation, input=0, remark=remark)
    steps = np.abs(a.astype(np.int64) - b.astype(np.int64))
    return FirstDifference(
        layer=layer,
        operation=operation,
        input=0,
        elements=steps.size,
        mismatches=int(np.count_nonzero(steps)),
        largest=int(steps.max(initial=0)),
    )


def _shape(array: Array) -> str:
    return "x".join(map(str, array.shape))
