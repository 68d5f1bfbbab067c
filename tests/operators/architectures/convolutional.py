"""Classifiers of images and sounds: plain convolutions, residual, depthwise, inception."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.operators.architectures.architecture import Architecture, family
from tests.operators.architectures.blocks import (
    Layer,
    classify,
    flatten,
    gelu,
    hard_swish,
    inverted_residual,
    joined,
    leaky,
    pointwise_conv,
    pooled,
    relu6_gate,
    residual,
    scaled_conv,
    scores,
    separable,
    shuffle_channels,
    squeeze_excite,
    swish,
)
from tests.operators.case import Deviation
from tests.operators.network import Network, Quantisation, Value
from tests.operators.pointwise import binary, prelu, softmax, table, unary
from tests.operators.reducing import arg_max, pool
from tests.operators.shaping import pad, split
from tests.operators.weighted import conv2d, depthwise, fully_connected

__all__ = ["architectures"]

_IMAGE = (1, 16, 16, 3)
_SPECTROGRAM = (1, 25, 10, 1)


def architectures() -> Iterator[Architecture]:
    """All of them."""
    yield from family(
        "CNN",
        ("cnn", cnn),
        ("cnn_int16", partial(cnn, dtype="int16")),
        ("cnn_lenet_tanh", lenet),
        ("cnn_strides", strided),
        ("cnn_dilated", dilated),
        ("cnn_asymmetric_kernels", asymmetric),
        ("cnn_groups", groups),
        ("cnn_prelu", partial(activated, layer=prelu)),
        ("cnn_hard_swish", partial(activated, layer=hard_swish)),
        ("cnn_relu6_gate", partial(activated, layer=relu6_gate)),
        ("cnn_argmax", partial(labelled, dtype="int8")),
        ("cnn_multi_label_int16", multi_label),
    )
    yield Architecture(
        "cnn_leaky",
        "CNN",
        partial(activated, layer=leaky),
    )
    yield Architecture(
        "cnn_leaky_int16",
        "CNN",
        partial(activated, layer=leaky, dtype="int16"),
        deviation=Deviation(2, 0.05, "int16 LEAKY_RELU"),
    )
    yield Architecture("cnn_gelu", "CNN", partial(activated, layer=gelu), unjudged="GELU")
    yield Architecture("cnn_elu", "CNN", partial(activated, layer=elu))
    yield from family(
        "residual",
        ("resnet", resnet),
        ("resnet_int16", partial(resnet, dtype="int16")),
        ("resnet_bottleneck", bottleneck),
        ("resnet_preactivation", preactivation),
        ("densenet", densenet),
    )
    yield from family(
        "depthwise",
        ("mobilenet_v1", mobilenet_v1),
        ("mobilenet_v1_int16", partial(mobilenet_v1, dtype="int16")),
        ("mobilenet_v2", mobilenet_v2),
        ("mobilenet_v3", mobilenet_v3),
        ("mnasnet_5x5", mnasnet),
        ("ds_cnn_keywords", ds_cnn),
        ("ghostnet", ghostnet),
        ("shufflenet", shufflenet),
        ("depth_multiplier", depth_multiplier),
        ("efficientnet_swish", efficientnet),
    )
    yield Architecture(
        "squeeze_excite_int16", "depthwise", excited, deviation=Deviation(1, 0.05, "int16 MUL")
    )
    yield from family(
        "inception",
        ("inception", inception),
        ("inception_int16", partial(inception, dtype="int16")),
        ("squeezenet", squeezenet),
    )


def cnn(network: Network, dtype: str = "int8") -> Value:
    value = network.input(_IMAGE, dtype)
    for channels in (8, 16, 32):
        value = pooled(network, conv2d(network, value, channels, activation="RELU"))
    return classify(network, value, 10) if dtype == "int8" else logits(network, value)


def logits(network: Network, value: Value) -> Value:
    return fully_connected(network, flatten(network, value), 10)


def lenet(network: Network) -> Value:
    value = network.input((1, 20, 20, 1))
    for channels in (6, 16):
        value = conv2d(network, value, channels, kernel=(5, 5), padding="VALID")
        value = pooled(network, table(network, value, "TANH"), "AVERAGE")
    hidden = table(network, fully_connected(network, flatten(network, value), 40), "TANH")
    return softmax(network, scores(network, hidden, 10))


def strided(network: Network) -> Value:
    value = network.input((1, 31, 17, 3))
    for channels, stride in ((8, (2, 1)), (12, (2, 2)), (20, (1, 2)), (24, (3, 3))):
        value = scaled_conv(network, value, channels, stride=stride, activation="RELU6")
    return classify(network, value, 7)


def dilated(network: Network) -> Value:
    value = network.input((1, 20, 20, 4))
    for step in (1, 2, 4):
        value = conv2d(network, value, 12, dilation=(step, step), activation="RELU")
    return classify(network, value, 5)


def asymmetric(network: Network) -> Value:
    value = network.input((1, 14, 18, 6))
    for kernel in ((1, 7), (7, 1), (3, 5)):
        value = conv2d(network, value, 14, kernel=kernel, padding="VALID", activation="RELU")
    return classify(network, value, 6)


def groups(network: Network) -> Value:
    """AlexNet's two halves."""
    value = conv2d(network, network.input(_IMAGE), 16, kernel=(5, 5), stride=(2, 2))
    halves = split(network, value, 3, 2)
    value = joined(network, [conv2d(network, half, 12, activation="RELU") for half in halves])
    return classify(network, value, 10)


def elu(network: Network, value: Value) -> Value:
    return unary(network, value, "ELU", quantisation=Quantisation(0.013, -40))


def activated(network: Network, layer: Layer, dtype: str = "int8") -> Value:
    """Convolutions, each followed by the activation `layer`."""
    value = network.input(_IMAGE, dtype)
    for channels, stride in ((8, 2), (16, 1), (24, 2)):
        value = scaled_conv(network, value, channels, stride=(stride, stride), rms=1.5)
        value = layer(network, value)
    return logits(network, value)


def labelled(network: Network, dtype: str) -> Value:
    value = conv2d(network, network.input(_IMAGE, dtype), 12, stride=(2, 2), activation="RELU")
    return arg_max(network, fully_connected(network, flatten(network, value), 10), 1)


def multi_label(network: Network) -> Value:
    value = conv2d(network, network.input(_IMAGE, "int16"), 12, stride=(2, 2), activation="RELU")
    return table(network, scores(network, flatten(network, value), 9, rms=4.0), "LOGISTIC")


def resnet(network: Network, dtype: str = "int8") -> Value:
    value = conv2d(network, network.input(_IMAGE, dtype), 8, activation="RELU")
    for channels, stride in ((8, 1), (16, 2), (32, 2)):
        value = residual(network, value, channels, stride)
    return classify(network, value, 10) if dtype == "int8" else logits(network, value)


def bottleneck(network: Network) -> Value:
    value = conv2d(network, network.input(_IMAGE), 32, stride=(2, 2), activation="RELU")
    for _ in range(2):
        branch = pointwise_conv(network, value, 8, "RELU")
        branch = conv2d(network, branch, 8, activation="RELU")
        branch = pointwise_conv(network, branch, 32)
        value = binary(network, "ADD", value, branch, activation="RELU")
    return classify(network, value, 10)


def preactivation(network: Network) -> Value:
    value = conv2d(network, network.input(_IMAGE), 12)
    for _ in range(3):
        branch = conv2d(network, unary(network, value, "RELU"), 12, activation="RELU")
        value = binary(network, "ADD", value, conv2d(network, branch, 12))
    return classify(network, value, 10)


def densenet(network: Network) -> Value:
    value = conv2d(network, network.input(_IMAGE), 8, stride=(2, 2), activation="RELU")
    for _ in range(3):
        value = joined(network, [value, conv2d(network, value, 8, activation="RELU")])
    value = pooled(network, pointwise_conv(network, value, 16, "RELU"), "AVERAGE")
    return classify(network, value, 10)


def mobilenet_v1(network: Network, dtype: str = "int8") -> Value:
    value = network.input(_IMAGE, dtype)
    value = scaled_conv(network, value, 8, stride=(2, 2), activation="RELU6")
    for channels, stride in ((16, 1), (24, 2), (32, 1)):
        value = separable(network, value, channels, stride=(stride, stride))
    return classify(network, value, 10) if dtype == "int8" else logits(network, value)


def mobilenet_v2(network: Network) -> Value:
    value = scaled_conv(network, network.input(_IMAGE), 8, stride=(2, 2), activation="RELU6")
    for channels, stride in ((8, 1), (16, 2), (16, 1)):
        value = inverted_residual(network, value, channels, stride=(stride, stride))
    return classify(network, value, 10)


def mobilenet_v3(network: Network) -> Value:
    value = hard_swish(network, conv2d(network, network.input(_IMAGE), 8, stride=(2, 2)))
    for channels, stride in ((8, 1), (16, 2), (16, 1)):
        value = inverted_residual(
            network, value, channels, stride=(stride, stride), between=squeeze_excite
        )
    return classify(network, hard_swish(network, pointwise_conv(network, value, 32)), 10)


def mnasnet(network: Network) -> Value:
    value = conv2d(network, network.input(_IMAGE), 8, stride=(2, 2), activation="RELU")
    for channels, stride in ((12, 2), (12, 1)):
        value = inverted_residual(
            network, value, channels, expand=3, stride=(stride, stride), kernel=(5, 5)
        )
    return classify(network, value, 10)


def ds_cnn(network: Network) -> Value:
    """Keyword spotting on 25 frames of 10 coefficients."""
    value = network.input(_SPECTROGRAM)
    value = conv2d(network, value, 24, kernel=(10, 4), stride=(2, 2), activation="RELU")
    for _ in range(3):
        value = separable(network, value, 24, activation="RELU")
    return classify(network, value, 12)


def ghostnet(network: Network) -> Value:
    """Half of the channels are made cheaply from the others."""
    value = conv2d(network, network.input(_IMAGE), 8, stride=(2, 2), activation="RELU")
    for channels in (8, 12):
        primary = pointwise_conv(network, value, channels, "RELU")
        value = joined(network, [primary, depthwise(network, primary, activation="RELU")])
    return classify(network, value, 10)


def shufflenet(network: Network) -> Value:
    value = conv2d(network, network.input(_IMAGE), 16, stride=(2, 2), activation="RELU")
    for _ in range(2):
        kept, worked = split(network, value, 3, 2)
        worked = separable(network, worked, 8, activation="RELU")
        value = shuffle_channels(network, joined(network, [kept, worked]), 2)
    return classify(network, value, 10)


def depth_multiplier(network: Network) -> Value:
    value = pad(network, network.input((1, 15, 15, 3)), ((0, 0), (1, 2), (2, 1), (0, 0)))
    value = depthwise(network, value, 4, stride=(2, 2), padding="VALID", activation="RELU")
    value = depthwise(network, pointwise_conv(network, value, 20), kernel=(5, 3))
    return classify(network, value, 10)


def efficientnet(network: Network) -> Value:
    value = scaled_conv(network, network.input(_IMAGE), 8, stride=(2, 2))
    value = swish(network, value)
    for channels in (8, 16):
        wide = swish(network, pointwise_conv(network, value, 24))
        wide = swish(network, depthwise(network, wide, kernel=(5, 5)))
        narrow = pointwise_conv(network, squeeze_excite(network, wide), channels)
        value = binary(network, "ADD", value, narrow) if narrow.shape == value.shape else narrow
    return classify(network, value, 10)


def excited(network: Network) -> Value:
    value = network.input(_IMAGE, "int16")
    value = conv2d(network, value, 12, stride=(2, 2), activation="RELU")
    return logits(network, squeeze_excite(network, separable(network, value, 12)))


def inception(network: Network, dtype: str = "int8") -> Value:
    value = conv2d(network, network.input(_IMAGE, dtype), 12, stride=(2, 2), activation="RELU")
    for _ in range(2):
        three = conv2d(network, pointwise_conv(network, value, 6, "RELU"), 8, activation="RELU")
        five = pointwise_conv(network, value, 4, "RELU")
        five = conv2d(network, five, 6, kernel=(5, 5), activation="RELU")
        pooling = pool(network, value, "MAX", (3, 3), stride=(1, 1), padding="SAME")
        towers = [pointwise_conv(network, value, 8, "RELU"), three, five]
        value = joined(network, [*towers, pointwise_conv(network, pooling, 6, "RELU")])
    return classify(network, value, 10) if dtype == "int8" else logits(network, value)


def squeezenet(network: Network) -> Value:
    value = conv2d(network, network.input(_IMAGE), 16, stride=(2, 2), activation="RELU")
    for _ in range(2):
        squeezed = pointwise_conv(network, value, 6, "RELU")
        sides = [
            pointwise_conv(network, squeezed, 10, "RELU"),
            conv2d(network, squeezed, 10, activation="RELU"),
        ]
        value = joined(network, sides)
    return classify(network, value, 10)
