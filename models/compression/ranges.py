"""First ranges for the activations of a model that simulates int8. Uses TensorFlow.

tfmot starts every range at -6..6 and moves it by a thousandth of the way with each batch. A short
fine-tuning never gets away from there: outputs of a ReLU keep a negative range, which wastes half
of the int8 values and costs the NPU a pass of its own for each ReLU.
"""

from __future__ import annotations

from typing import Any

__all__ = ["set_ranges"]

#: tfmot's moving average keeps this much of the old range at each step (MovingAverageQuantizer).
_KEPT = 0.999
#: What tfmot calls the ends of the ranges of activations.
_ENDS = tuple(
    f"{what}_{end}:0"
    for what in ("pre_activation", "post_activation", "output")
    for end in ("min", "max")
)
#: Values beyond the range so far are clipped, so a range is known when those before it are: each
#: pass gets at least one layer further.
_PASSES_MAX = 100
#: float32 knows a range of 6 to this much after a thousandth was taken of it.
_NOISE = 1e-3
#: A range that moves less than this, relative to itself, is known.
_STILL = 0.01


def set_ranges(simulated: Any, samples: Any) -> None:
    """Set the ranges of the activations of `simulated` to those that `samples` give.

    `samples` is what the model takes: an array, or a list of them. Nothing else is changed.
    """
    ends = [weight for weight in simulated.weights if weight.name.split("/")[-1] in _ENDS]
    others = [weight for weight in simulated.weights if all(weight is not end for end in ends)]
    kept = [weight.numpy() for weight in others]
    for _ in range(_PASSES_MAX):
        before = [end.numpy() for end in ends]
        simulated(samples, training=True)
        moved = [(end.numpy() - old) / (1 - _KEPT) for end, old in zip(ends, before, strict=True)]
        for end, old, step in zip(ends, before, moved, strict=True):
            end.assign(old + step)
        for weight, value in zip(others, kept, strict=True):
            weight.assign(value)
        pairs = zip(before, moved, strict=True)
        if all(abs(step) <= _STILL * abs(old) + _NOISE for old, step in pairs):
            return
