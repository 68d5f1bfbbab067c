"""Networks whose outputs are maps, boxes or images: U-Nets, pyramids, detectors, autoencoders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from tests.operators.architectures.architecture import Architecture, family
from tests.operators.architectures.blocks import (
    classify,
    flatten,
    inverted_residual,
    joined,
    leaky,
    pointwise_conv,
    pooled,
    scaled_conv,
    separable,
    tokens,
    upsample,
)
from tests.operators.case import Deviation
from tests.operators.network import Network, Value
from tests.operators.pointwise import binary, table
from tests.operators.reducing import arg_max, pool
from tests.operators.shaping import reshape, resize
from tests.operators.weighted import conv2d, fully_connected, transpose_conv

__all__ = ["architectures"]


def architectures() -> Iterator[Architecture]:
    """All of them."""
    yield from family(
        "U-Net",
        ("unet_nearest", unet),
        ("unet_bilinear", partial(unet, bilinear=True)),
        ("unet_transpose_conv", partial(unet, transposed=True)),
        ("unet_int16", partial(unet, dtype="int16")),
        ("unet_attention_gate", gated_unet),
        ("unet_argmax", segmentation),
    )
    yield from family(
        "pyramid",
        ("feature_pyramid", feature_pyramid),
        ("spatial_pyramid_pool", spatial_pyramid),
        ("deeplab_dilated", deeplab),
    )
    yield from family(
        "detector",
        ("ssd_two_scales", ssd),
        ("yolo_heads", yolo),
        ("centernet_three_heads", centernet),
        ("pose_heatmaps", pose),
        ("face_landmarks_int16", landmarks),
    )
    yield Architecture(
        "yolo_leaky_int16",
        "detector",
        partial(leaky_heads, dtype="int16"),
        deviation=Deviation(2, 0.02, "int16 LEAKY_RELU"),
    )
    yield from family(
        "autoencoder",
        ("autoencoder_dense", dense_autoencoder),
        ("autoencoder_conv", conv_autoencoder),
        ("autoencoder_conv_int16", partial(conv_autoencoder, dtype="int16")),
        ("super_resolution", super_resolution),
    )


def unet(
    network: Network, *, dtype: str = "int8", bilinear: bool = False, transposed: bool = False
) -> Value:
    value = network.input((1, 16, 16, 3), dtype)
    skips = []
    for channels in (6, 12):
        value = conv2d(network, value, channels, activation="RELU")
        skips.append(value)
        value = pooled(network, value)
    value = conv2d(network, value, 20, activation="RELU")
    for skip in reversed(skips):
        channels = skip.shape[3]
        if transposed:
            up = transpose_conv(network, value, channels)
        else:
            up = upsample(network, pointwise_conv(network, value, channels), bilinear=bilinear)
        value = conv2d(network, joined(network, [skip, up]), channels, activation="RELU")
    return pointwise_conv(network, value, 4)


def gated_unet(network: Network) -> Value:
    """The skip is weighted by a sigmoid of what comes from below."""
    upper = conv2d(network, network.input((1, 16, 16, 3)), 8, activation="RELU")
    lower = conv2d(network, pooled(network, upper), 16, activation="RELU")
    up = upsample(network, pointwise_conv(network, lower, 8))
    both = binary(network, "ADD", up, pointwise_conv(network, upper, 8), activation="RELU")
    gate = table(network, pointwise_conv(network, both, 1), "LOGISTIC")
    gated = binary(network, "MUL", upper, gate)
    return pointwise_conv(network, joined(network, [gated, up]), 3)


def segmentation(network: Network) -> Value:
    """A class for each pixel."""
    value = conv2d(network, network.input((1, 12, 12, 3)), 8, stride=(2, 2), activation="RELU")
    value = upsample(network, separable(network, value, 8, activation=None))
    return arg_max(network, pointwise_conv(network, value, 5), 3)


def feature_pyramid(network: Network) -> Sequence[Value]:
    levels = [conv2d(network, network.input((1, 16, 16, 3)), 8, stride=(2, 2), activation="RELU")]
    for channels in (12, 16):
        levels.append(conv2d(network, levels[-1], channels, stride=(2, 2), activation="RELU"))
    value = pointwise_conv(network, levels[-1], 8)
    outputs = [conv2d(network, value, 8)]
    for level in reversed(levels[:-1]):
        value = binary(network, "ADD", pointwise_conv(network, level, 8), upsample(network, value))
        outputs.append(conv2d(network, value, 8))
    return outputs


def spatial_pyramid(network: Network) -> Value:
    """Pools of three sizes over one map."""
    value = conv2d(network, network.input((1, 16, 16, 3)), 8, stride=(2, 2), activation="RELU")
    pools = [
        pool(network, value, "MAX", (size, size), stride=(1, 1), padding="SAME")
        for size in (3, 5, 7)
    ]
    return classify(network, pointwise_conv(network, joined(network, [value, *pools]), 12), 6)


def deeplab(network: Network) -> Value:
    value = conv2d(network, network.input((1, 16, 16, 3)), 10, stride=(2, 2), activation="RELU")
    branches = [pointwise_conv(network, value, 6, "RELU")]
    for step in (2, 3):
        branches.append(conv2d(network, value, 6, dilation=(step, step), activation="RELU"))
    classes = pointwise_conv(network, joined(network, branches), 4)
    return resize(network, classes, (16, 16), bilinear=True, half_pixel=True)


def ssd(network: Network) -> Sequence[Value]:
    """Boxes and classes of two scales, each as one list."""
    value = network.input((1, 16, 16, 3))
    value = scaled_conv(network, value, 8, stride=(2, 2), activation="RELU6")
    boxes, classes = [], []
    for channels in (12, 16):
        value = separable(network, value, channels, stride=(2, 2))
        cells = value.shape[1] * value.shape[2]
        box, label = conv2d(network, value, 8), scaled_conv(network, value, 6)
        boxes.append(reshape(network, box, (1, cells * 2, 4)))
        classes.append(reshape(network, label, (1, cells * 2, 3)))
    scores = table(network, joined(network, classes, 1), "LOGISTIC")
    return joined(network, boxes, 1), scores


def yolo(network: Network) -> Sequence[Value]:
    """Two heads of different scales; the finer gets the coarser one's features."""
    value = conv2d(network, network.input((1, 16, 16, 3)), 8, stride=(2, 2), activation="RELU")
    fine = conv2d(network, value, 12, activation="RELU")
    coarse = conv2d(network, fine, 16, stride=(2, 2), activation="RELU")
    merged = joined(network, [fine, upsample(network, pointwise_conv(network, coarse, 8))])
    heads = [pointwise_conv(network, level, 7) for level in (merged, coarse)]
    return [table(network, head, "LOGISTIC") for head in heads]


def leaky_heads(network: Network, dtype: str) -> Sequence[Value]:
    """Darknet's convolutions and LEAKY_RELU; a head on each of two scales."""
    value = network.input((1, 16, 16, 3), dtype)
    heads = []
    for channels in (8, 12, 16):
        value = leaky(network, conv2d(network, value, channels, stride=(2, 2)))
        heads.append(value)
    return [pointwise_conv(network, level, 6) for level in heads[1:]]


def centernet(network: Network) -> Sequence[Value]:
    """Centres, sizes and offsets."""
    value = scaled_conv(
        network, network.input((1, 16, 16, 3)), 8, stride=(2, 2), activation="RELU6"
    )
    value = inverted_residual(network, value, 8)
    centres = table(network, scaled_conv(network, value, 2), "LOGISTIC")
    return centres, conv2d(network, value, 2, activation="RELU"), pointwise_conv(network, value, 2)


def pose(network: Network) -> Sequence[Value]:
    """Heat maps of joints, and where each is highest."""
    value = conv2d(network, network.input((1, 16, 16, 3)), 8, stride=(2, 2), activation="RELU")
    maps = pointwise_conv(network, separable(network, value, 12), 5)
    return maps, arg_max(network, tokens(network, maps), 1)


def landmarks(network: Network) -> Sequence[Value]:
    value = network.input((1, 16, 16, 1), "int16")
    for channels in (8, 12):
        value = conv2d(network, value, channels, stride=(2, 2), activation="RELU")
    flat = flatten(network, value)
    return fully_connected(network, flat, 10), fully_connected(network, flat, 1)


def dense_autoencoder(network: Network) -> Value:
    """Anomaly detection on five frames of spectrum."""
    value = network.input((1, 64))
    for units in (32, 32, 8, 32, 32):
        value = fully_connected(network, value, units, activation="RELU")
    return fully_connected(network, value, 64)


def conv_autoencoder(network: Network, dtype: str = "int8") -> Value:
    value = network.input((1, 16, 16, 1), dtype)
    for channels in (8, 4):
        value = conv2d(network, value, channels, stride=(2, 2), activation="RELU")
    for channels in (8, 1):
        value = transpose_conv(network, value, channels)
    return value


def super_resolution(network: Network) -> Value:
    """A learned correction on a resized image."""
    image = network.input((1, 10, 12, 3))
    value = conv2d(network, image, 8, activation="RELU")
    detail = upsample(network, conv2d(network, value, 3))
    return binary(network, "ADD", upsample(network, image, bilinear=True), detail)
