"""The layers of a `.tflite` whose weights can be compressed, and the choice among them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

from bench.core.errors import ConfigError, ModelError
from bench.core.schema import suggest
from bench.tflite.graph import FileGraph, TensorInfo
from bench.tflite.layer_names import unique_names

__all__ = ["Choice", "ChosenLayer", "LayerChoice", "WeightLayer", "chosen_layers", "weight_layers"]

#: The builtin operators with weights -> Vela's name, by which a layer without a better one is
#: called. Their second input holds the weights.
_KINDS = {
    "CONV_2D": "Conv2D",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "FULLY_CONNECTED": "FullyConnected",
    "TRANSPOSE_CONV": "TransposeConv2D",
}
_WEIGHTS = 1
#: The axis of the output channels in the weights: the last of a depthwise layer, else the first.
_CHANNEL_AXES = {"DEPTHWISE_CONV_2D": -1}
#: What the Ethos-U55 takes as weights.
_DTYPES = ("int8", "uint8")


@dataclass(frozen=True)
class WeightLayer:
    """An operator with constant weights."""

    #: A person's name for it, unique in the model.
    name: str
    #: TFLite's name of the operator.
    kind: str
    #: Its position among the operators.
    index: int
    #: The tensor of its weights.
    tensor: int
    info: TensorInfo

    @property
    def channel_axis(self) -> int:
        """The axis of the output channels in the weights."""
        return _CHANNEL_AXES.get(self.kind, 0)

    @property
    def has_channel_scales(self) -> bool:
        """Whether each output channel has a scale of its own."""
        return len(self.info.scales) > 1


class Choice(str, Enum):
    """Whether a layer is compressed, and why."""

    CHOSEN = "compressed"
    DEPTHWISE = "left alone: depthwise"
    FIRST = "left alone: the first convolution"
    NOT_NAMED = "left alone: not named"


@dataclass(frozen=True)
class ChosenLayer:
    """A layer, and whether it is compressed."""

    layer: WeightLayer
    choice: Choice

    @property
    def compressed(self) -> bool:
        """Whether its weights are changed."""
        return self.choice is Choice.CHOSEN


@dataclass(frozen=True)
class LayerChoice:
    """Which layers a user wants to be compressed; by default those that training would compress."""

    #: Names of layers, or patterns with `*`; empty: by kind.
    names: tuple[str, ...] = ()
    #: Depthwise layers and the first convolution too.
    every: bool = False


def weight_layers(graph: FileGraph) -> tuple[WeightLayer, ...]:
    """The layers of `graph` that have constant, quantised weights, in the order of execution."""
    nodes = [
        (index, node)
        for index, node in enumerate(graph.operators)
        if node.info.name in _KINDS
        and len(node.inputs) > _WEIGHTS
        and node.outputs
        and _holds_weights(graph, node.inputs[_WEIGHTS])
    ]
    names = unique_names(
        (index, _KINDS[node.info.name], graph.tensors[node.outputs[0]].name)
        for index, node in nodes
    )
    return tuple(
        WeightLayer(
            name=name,
            kind=node.info.name,
            index=index,
            tensor=node.inputs[_WEIGHTS],
            info=graph.tensors[node.inputs[_WEIGHTS]],
        )
        for name, (index, node) in zip(names, nodes, strict=True)
    )


def _holds_weights(graph: FileGraph, tensor: int) -> bool:
    if tensor < 0 or graph.constants[tensor] is None:
        return False
    info = graph.tensors[tensor]
    return info.dtype in _DTYPES and bool(info.scales)


def chosen_layers(layers: Sequence[WeightLayer], choice: LayerChoice) -> tuple[ChosenLayer, ...]:
    """All of `layers`, each with whether it is compressed.

    By default that is every layer but the depthwise ones and the first convolution: they have few
    weights, and networks suffer most from changes there. A first layer that is fully connected is
    compressed, because it mostly has most of the weights.

    Raises `ConfigError` for a name that no layer has, `ModelError` if there is nothing to compress.
    """
    if not layers:
        raise ModelError(
            f"the model has no layer with constant weights ({', '.join(_KINDS)}), so there is "
            "nothing to compress",
            cure="give a quantised network",
        )
    for name in choice.names:
        if not any(_is_named(layer, [name]) for layer in layers):
            raise ConfigError(
                f"layer {name!r}: the model has no such layer with weights",
                cure=suggest(name, [layer.name for layer in layers]),
            )
    found = tuple(
        ChosenLayer(layer, _chosen(layer, place == 0, choice)) for place, layer in enumerate(layers)
    )
    if not any(each.compressed for each in found):
        raise ModelError(
            "all layers with weights are depthwise or the first convolution, which are left alone",
            cure="name layers: with --layer NAME or --all-layers, or with `layers` of the variant",
        )
    return found


def _chosen(layer: WeightLayer, first: bool, choice: LayerChoice) -> Choice:
    if choice.names:
        return Choice.CHOSEN if _is_named(layer, choice.names) else Choice.NOT_NAMED
    if choice.every:
        return Choice.CHOSEN
    if layer.kind == "DEPTHWISE_CONV_2D":
        return Choice.DEPTHWISE
    if first and layer.kind != "FULLY_CONNECTED":
        return Choice.FIRST
    return Choice.CHOSEN


def _is_named(layer: WeightLayer, names: Sequence[str]) -> bool:
    return any(
        layer.name == name or fnmatchcase(layer.name, re.sub(r"\[", "[[]", name)) for name in names
    )
