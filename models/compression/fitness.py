"""Whether tfmot can make a variant of a Keras model: checked before anything is trained.

tfmot itself fails deep inside, or leaves a layer out without a word. Uses TensorFlow.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bench.core.errors import BuildError
from bench.core.schema import suggest
from models.compression.kernels import compressible, is_built_in
from models.compression.qat import annotatable
from models.lineage import Promise
from models.runtime import tf, tfmot
from models.spec import ClusterSpec, PruneSpec, QatSpec, RequantiseSpec, TrainSpec, VariantSpec

__all__ = ["check_fit"]

_VERBS = {"prune": "prune", "cluster": "cluster", "qat": "train with simulated int8"}


def check_fit(
    model: Any, spec: VariantSpec, layers: Sequence[str], parent: Mapping[str, Promise]
) -> None:
    """Raise BuildError, in one sentence, if tfmot cannot do with `model` what `spec` says.

    `layers` are those to compress; `parent` is what the parent promises.
    """
    if isinstance(spec, (TrainSpec, RequantiseSpec)):
        return
    verb = _VERBS[spec.method]
    if not _is_graph(model):
        raise BuildError(
            f"tfmot cannot {verb} a sub-classed model ({type(model).__name__}), because it "
            "rebuilds the model from its layers",
            cure="build it as a Sequential or functional model: Model(inputs, outputs)",
        )
    if isinstance(spec, QatSpec):
        _check_qat(model, spec, parent)
        return
    found = {layer.name: layer for layer in model.layers}
    for name in layers:
        _check_exists(model, name, found, verb)
        if isinstance(spec, PruneSpec):
            _check_prunable(found[name], spec)
        else:
            _check_clusterable(found[name], spec)
    _check_named(spec, layers)
    if isinstance(spec, ClusterSpec) and spec.preserve_sparsity:
        _check_covered(parent, layers)


def _is_graph(model: Any) -> bool:
    return isinstance(model, tf.keras.Sequential) or bool(model._is_graph_network)


def _check_exists(model: Any, name: str, found: Mapping[str, Any], verb: str) -> None:
    if name in found:
        return
    for outer in found.values():
        if isinstance(outer, tf.keras.Model) and name in {part.name for part in outer.layers}:
            raise BuildError(
                f"layer {name!r} is inside the nested model {outer.name!r}, where the bench does "
                f"not {verb}",
                cure="build the network as one flat model",
            )
    with_weights = [layer.name for layer in found.values() if compressible(layer)]
    raise BuildError(f"layers: unknown layer {name!r}; {suggest(name, with_weights)}")


def _weights(layer: Any, verb: str) -> dict[str, Any]:
    weights = compressible(layer)
    if not weights:
        kind = type(layer).__name__
        raise BuildError(
            f"layer {layer.name!r}: tfmot cannot {verb} a {kind}, or what comes of it cannot be "
            "checked in the quantised model",
            cure="leave it out of `layers`; a layer of your own can name its weights with "
            "get_prunable_weights and get_clusterable_weights",
        )
    return weights


def _check_prunable(layer: Any, spec: PruneSpec) -> None:
    for name, variable in _weights(layer, "prune").items():
        rank = len(variable.shape)
        if spec.n_of_m is not None and not _takes_patterns(layer, rank):
            raise BuildError(
                f"layer {layer.name!r}: n_of_m is for Dense and Conv2D layers, and this is a "
                f"{type(layer).__name__}",
                cure="leave it out of `layers`",
            )
        if spec.n_of_m is not None and spec.n_of_m[1] > variable.shape[-2]:
            raise BuildError(
                f"layer {layer.name!r}: n_of_m {list(spec.n_of_m)} needs {spec.n_of_m[1]} input "
                f"channels, and its {name} has {variable.shape[-2]}",
                cure="leave it out of `layers`",
            )
        if spec.block_size != (1, 1) and rank != 2:
            raise BuildError(
                f"layer {layer.name!r}: block_size is for matrices, and the {name} of this "
                f"{type(layer).__name__} has {rank} dimensions",
                cure="leave it out of `layers`, or leave out block_size",
            )


def _takes_patterns(layer: Any, rank: int) -> bool:
    return rank in (2, 4) and not isinstance(layer, tf.keras.layers.Conv2DTranspose)


def _check_clusterable(layer: Any, spec: ClusterSpec) -> None:
    clusters = spec.values(layer.name)
    if not is_built_in(layer) and not isinstance(layer, tfmot.clustering.keras.ClusterableLayer):
        raise BuildError(
            f"layer {layer.name!r}: a {type(layer).__name__} is a layer of your own, and tfmot "
            "clusters these only if they are ClusterableLayers",
            cure="derive it from tfmot.clustering.keras.ClusterableLayer too, or leave it out of "
            "`layers`",
        )
    for variable in _weights(layer, "cluster").values():
        if spec.per_channel and type(layer) is not tf.keras.layers.Conv2D:
            raise BuildError(
                f"layer {layer.name!r}: per_channel is for Conv2D layers, and this is a "
                f"{type(layer).__name__}",
                cure="leave it out of `layers`, or leave out per_channel",
            )
        count = int(tf.size(variable))
        scope = "kernel"
        if spec.per_channel:
            count, scope = count // variable.shape[-1], "channel"
        # A small layer among the usual ones keeps its promise anyway.
        if count <= clusters and _is_named(layer.name, spec):
            raise BuildError(
                f"layer {layer.name!r}: {clusters} clusters are no restriction for a {scope} of "
                f"{count} weights",
                cure=f"lower clusters for it (clusters_of = {{ {layer.name} = {max(2, count // 2)} "
                "}), or leave it out of `layers`",
            )


def _is_named(layer: str, spec: ClusterSpec) -> bool:
    return layer in (spec.layers or ()) or layer in spec.clusters_of


def _check_named(spec: PruneSpec | ClusterSpec, layers: Collection[str]) -> None:
    key, figures = (
        ("sparsity_of", spec.sparsity_of)
        if isinstance(spec, PruneSpec)
        else ("clusters_of", spec.clusters_of)
    )
    for name in figures:
        if name not in layers:
            raise BuildError(
                f"{key}: {name!r} is not among the compressed layers; {suggest(name, list(layers))}"
            )


def _check_covered(parent: Mapping[str, Promise], layers: Collection[str]) -> None:
    for name, promise in parent.items():
        if promise.of_zeros and name not in layers:
            raise BuildError(
                f"preserve_sparsity: layer {name!r} of the parent is pruned and not among "
                "`layers`, so it would lose its zeros in training",
                cure=f"add {name!r} to `layers`",
            )


def _check_qat(model: Any, spec: QatSpec, parent: Mapping[str, Promise]) -> None:
    for layer in model.layers:
        if isinstance(layer, tf.keras.Model):
            raise BuildError(
                f"tfmot cannot train with simulated int8 a model inside a model: {layer.name!r}",
                cure="build the network as one flat model",
            )
    if not any(annotatable(layer) and layer.weights for layer in model.layers):
        raise BuildError(
            "tfmot cannot train with simulated int8 any layer of this model that has weights",
            cure="quantise it after training instead: leave the variant out",
        )
    for name, promise in parent.items():
        keeps = (promise.of_zeros and spec.keeps_sparsity) or (
            promise.values is not None and spec.keeps_clusters
        )
        layer = model.get_layer(name)
        if keeps and type(layer) not in (tf.keras.layers.Conv2D, tf.keras.layers.Dense):
            raise BuildError(
                f"layer {name!r}: tfmot keeps zeros and shared values of Dense and Conv2D layers "
                f"only while it simulates int8, and this is a {type(layer).__name__}",
                cure='take preserve = "none", or quantise this network after training',
            )
