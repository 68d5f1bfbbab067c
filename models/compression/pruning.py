"""Pruning: fine-tuning while the smallest weights are set to zero. Uses TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.compression.wrapping import wrap
from models.runtime import tfmot
from models.spec import PruneSpec
from models.training import OnProgress, TrainingSet, fit, learning_rate

__all__ = ["prune"]

#: How often pruning recomputes which weights are zero: 20 times per training. This is often enough
#: for a smooth rise of the sparsity, and rare enough to cost nothing.
_UPDATES = 20

_POOLING = {"average": "AVG", "max": "MAX"}


def prune(
    model: Any,
    layers: Sequence[str],
    spec: PruneSpec,
    data: TrainingSet,
    on_progress: OnProgress,
) -> Any:
    """A fine-tuned copy of `model` whose `layers` have the specified zeros."""
    wrapped = wrap(model, layers, lambda layer: _wrapper(layer, spec, data.plan.steps))
    step = tfmot.sparsity.keras.UpdatePruningStep()
    rate = learning_rate(spec.learning_rate, spec.decay, data.plan)
    fit(wrapped, rate, spec.batch_size, data, on_progress, step)
    return tfmot.sparsity.keras.strip_pruning(wrapped)


def _wrapper(layer: Any, spec: PruneSpec, steps: int) -> Any:
    return tfmot.sparsity.keras.prune_low_magnitude(
        layer,
        pruning_schedule=_schedule(spec, layer.name, steps),
        block_size=spec.block_size,
        block_pooling_type=_POOLING[spec.block_pooling],
        sparsity_m_by_n=spec.n_of_m,
    )


def _schedule(spec: PruneSpec, layer: str, steps: int) -> Any:
    """How the sparsity of `layer` develops over the `steps` of the training.

    tfmot updates its masks at multiples of `frequency` up to and including `end_step`. So
    `end_step` is made such a multiple. Otherwise the last update would not reach the final
    sparsity, and a training shorter than tfmot's usual 100 steps would end at the initial one.
    """
    frequency = max(1, (steps - 1) // _UPDATES)
    final = spec.sparsity(layer)
    if spec.schedule == "constant":
        return tfmot.sparsity.keras.ConstantSparsity(final, begin_step=0, frequency=frequency)
    return tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=min(spec.initial_sparsity, final),
        final_sparsity=final,
        begin_step=0,
        end_step=max(1, (steps - 1) // frequency * frequency),
        frequency=frequency,
    )
