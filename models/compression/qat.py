"""Quantisation-aware training, and tfmot's collaborative schemes. Uses TensorFlow.

tfmot's own schemes for pruned and clustered models treat every layer alike. One quantiser is shared
by all layers of a kind, and when it meets a kernel without zeros it stops keeping zeros for all
of them. So here each layer that promises something gets a quantiser of its own, and the others get
tfmot's default one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from bench.core.errors import BuildError
from models.compression.kernels import is_built_in
from models.compression.ranges import set_ranges
from models.lineage import Promise
from models.runtime import tf, tfmot
from models.spec import QatSpec
from models.training import OnProgress, TrainingSet, fit, learning_rate

__all__ = ["annotatable", "copy_float_weights", "train_quantised"]

_PREFIX = "quant_"
_FOLDED_INTO = (
    tf.keras.layers.Conv2D,
    tf.keras.layers.DepthwiseConv2D,
    tf.keras.layers.Dense,
)
#: How many training samples, from the first on, give the ranges to begin with.
_RANGE_SAMPLES = 256


def annotatable(layer: Any) -> bool:
    """Whether tfmot can simulate the quantisation of `layer`."""
    if isinstance(layer, (tf.keras.layers.Lambda, tf.keras.Model)):
        return False
    return bool(_default().get_quantize_registry().supports(layer))


def train_quantised(
    model: Any,
    promises: Mapping[str, Promise],
    spec: QatSpec,
    data: TrainingSet,
    on_progress: OnProgress,
) -> Any:
    """A fine-tuned copy of `model` that simulates int8.

    `promises` says what each layer keeps. Layers that tfmot cannot simulate stay float here; the
    calibration data gives their ranges when the model is converted.
    """
    annotated = tf.keras.models.clone_model(model, clone_function=_annotate)
    # Tfmot writes the layers down and reads them again, for which it must know their classes.
    own = {type(layer).__name__: type(layer) for layer in model.layers if not is_built_in(layer)}
    with tf.keras.utils.custom_object_scope(own):
        simulated = tfmot.quantization.keras.quantize_apply(annotated, _Scheme(spec, promises))
    set_ranges(simulated, data.first(_RANGE_SAMPLES))
    rate = learning_rate(spec.learning_rate, spec.decay, data.plan)
    fit(simulated, rate, spec.batch_size, data, on_progress)
    if spec.keeps_clusters:
        return tfmot.experimental.combine.strip_clustering_cqat(simulated)
    return simulated


def _annotate(layer: Any) -> Any:
    if annotatable(layer) or _is_folded(layer):
        return tfmot.quantization.keras.quantize_annotate_layer(layer)
    return layer


def _is_folded(layer: Any) -> bool:
    """Whether `layer` is a batch norm that tfmot folds into the layer before it.

    Tfmot knows it only there, and raises an error for any other.
    """
    if type(layer) is not tf.keras.layers.BatchNormalization:
        return False
    before = tf.nest.flatten([node.inbound_layers for node in layer.inbound_nodes])
    if len(before) != 1 or type(before[0]) not in _FOLDED_INTO:
        return False
    return bool(before[0].activation is tf.keras.activations.linear)


def copy_float_weights(simulated: Any, model: Any) -> None:
    """Give `model`, which simulates nothing, the weights of `simulated`.

    Raises:
        BuildError: tfmot replaced a layer by others.
    """
    names = {layer.name: layer for layer in simulated.layers}
    for layer in model.layers:
        if layer.name in names:
            layer.set_weights(names[layer.name].get_weights())
            continue
        wrapper = names.get(_PREFIX + layer.name)
        # Behind the last slash are the names that the layer itself gives: kernel, bias, ...
        found = {_own_name(weight): weight for weight in wrapper.weights} if wrapper else {}
        try:
            layer.set_weights([found[_own_name(weight)].numpy() for weight in layer.weights])
        except KeyError as error:
            raise BuildError(
                f"layer {layer.name!r}: tfmot replaced it for quantisation-aware training, and "
                f"its {error} is not found any more",
                cure="quantise this network after training instead",
            ) from error


def _own_name(weight: Any) -> str:
    return str(weight.name.split("/")[-1])


def _default() -> Any:
    return tfmot.quantization.keras.default_8bit.Default8BitQuantizeScheme()


class _Scheme:
    """tfmot's default, but for the `layers` that keep something. The names are tfmot's."""

    def __init__(self, spec: QatSpec, layers: Collection[str]) -> None:
        self._spec, self._layers = spec, layers

    def get_layout_transformer(self) -> Any:
        return _default().get_layout_transformer()

    def get_quantize_registry(self) -> _Scheme:
        return self

    def supports(self, layer: Any) -> bool:
        return bool(_default().get_quantize_registry().supports(layer))

    def get_quantize_config(self, layer: Any) -> Any:
        # A new scheme for each layer, because its quantisers remember.
        scheme = self._keeping() if layer.name in self._layers else _default()
        return scheme.get_quantize_registry().get_quantize_config(layer)

    def _keeping(self) -> Any:
        collaborative = tfmot.experimental.combine
        if not self._spec.keeps_clusters:
            return collaborative.Default8BitPrunePreserveQuantizeScheme()
        return collaborative.Default8BitClusterPreserveQuantizeScheme(
            preserve_sparsity=self._spec.keeps_sparsity
        )
