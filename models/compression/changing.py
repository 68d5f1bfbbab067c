"""From a model with its parent's weights to the model that a spec describes. Uses TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.compression.clustering import cluster
from models.compression.fitness import check_fit
from models.compression.pruning import prune
from models.compression.qat import copy_float_weights, train_quantised
from models.lineage import Promise, promised
from models.spec import ClusterSpec, PruneSpec, QatSpec, RequantiseSpec, VariantSpec
from models.training import OnProgress, TrainingSet, fit, learning_rate

__all__ = ["change", "copy_weights", "layers_of"]


def layers_of(spec: VariantSpec, usual: Sequence[str]) -> tuple[str, ...]:
    """The layers that `spec` compresses, where `usual` are those that the workload names."""
    named = spec.layers if isinstance(spec, (PruneSpec, ClusterSpec)) else None
    return tuple(usual) if named is None else named


def change(
    model: Any,
    spec: VariantSpec,
    usual: Sequence[str],
    parent: Mapping[str, Promise],
    data: TrainingSet,
    on_progress: OnProgress,
) -> Any:
    """`model`, which has the parent's weights, trained and compressed as `spec` says.

    `parent` is what the parent promises.

    Raises:
        BuildError: tfmot cannot do this with the model.
    """
    layers = layers_of(spec, usual)
    check_fit(model, spec, layers, parent)
    if isinstance(spec, RequantiseSpec):
        return model
    if isinstance(spec, PruneSpec):
        return prune(model, layers, spec, data, on_progress)
    if isinstance(spec, ClusterSpec):
        return cluster(model, layers, spec, data, on_progress)
    if isinstance(spec, QatSpec):
        promises = promised(spec, parent, usual)
        return train_quantised(model, promises, spec, data, on_progress)
    rate = learning_rate(spec.learning_rate, spec.decay, data.plan)
    fit(model, rate, spec.batch_size, data, on_progress)
    return model


def copy_weights(changed: Any, spec: VariantSpec, model: Any) -> None:
    """Give `model`, an untouched one, the float weights of `changed`, which `change` returned."""
    if isinstance(spec, QatSpec):
        copy_float_weights(changed, model)
        return
    for layer in model.layers:
        layer.set_weights(changed.get_layer(layer.name).get_weights())
