"""Cases with weights: convolutions, transposed convolutions, fully connected layers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.operators.case import Case
from tests.operators.network import Network, Value
from tests.operators.weighted import conv2d, depthwise, fully_connected, transpose_conv

__all__ = ["cases"]


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _convolutions()
    yield from _depthwise()
    yield from _transposed()
    yield from _fully_connected()


def _conv(
    name: str, shape: tuple[int, ...], channels: int, *, dtype: str = "int8", **options: Any
) -> Case:
    def build(network: Network) -> Value:
        return conv2d(network, network.input((1, *shape), dtype), channels, **options)

    return Case(f"conv/{name}", build)


def _convolutions() -> Iterator[Case]:
    for kernel in range(1, 12):
        for padding in ("SAME", "VALID"):
            yield _conv(
                f"{kernel}x{kernel}-{padding.lower()}",
                (13, 12, 5),
                9,
                kernel=(kernel, kernel),
                padding=padding,
            )
    for oblong in ((1, 7), (7, 1), (2, 5), (9, 3)):
        yield _conv(f"{oblong[0]}x{oblong[1]}", (14, 11, 3), 10, kernel=oblong)
    for stride in ((1, 2), (2, 1), (2, 2), (3, 3), (1, 3), (3, 2)):
        for padding in ("SAME", "VALID"):
            yield _conv(
                f"stride-{stride[0]}x{stride[1]}-{padding.lower()}",
                (12, 13, 6),
                8,
                stride=stride,
                padding=padding,
            )
    yield _conv("stride-4-valid", (17, 17, 4), 8, stride=(4, 4), kernel=(4, 4), padding="VALID")
    for dilation in ((2, 2), (1, 2), (2, 1), (3, 3), (4, 4)):
        yield _conv(f"dilation-{dilation[0]}x{dilation[1]}", (15, 14, 4), 8, dilation=dilation)
    yield _conv("dilation-2-5x5", (15, 14, 4), 8, dilation=(2, 2), kernel=(5, 5))
    for depth, channels in ((1, 1), (1, 17), (16, 16), (17, 33), (33, 8), (64, 40), (40, 130)):
        yield _conv(f"depths-{depth}-{channels}", (5, 6, depth), channels)
        yield _conv(f"depths-{depth}-{channels}-1x1", (5, 6, depth), channels, kernel=(1, 1))
    for activation in ("RELU", "RELU6", "RELU_N1_TO_1"):
        yield _conv(f"{activation.lower()}", (8, 7, 8), 8, activation=activation)
    yield _conv("per-tensor", (9, 9, 8), 12, per_channel=False)
    yield _conv("per-tensor-1x1", (9, 9, 24), 12, per_channel=False, kernel=(1, 1))
    yield _conv("no-bias", (9, 9, 8), 12, with_bias=False)
    yield _conv("one-pixel", (1, 1, 40), 20)
    yield _conv("one-row", (1, 40, 6), 12, kernel=(1, 5))
    yield _conv("large", (33, 31, 16), 24)
    this = partial(_conv, shape=(9, 10, 12), channels=18, dtype="int16")
    yield this("int16-3x3")
    yield this("int16-1x1", kernel=(1, 1))
    yield this("int16-7x5", kernel=(7, 5))
    yield this("int16-11x11", kernel=(11, 11))
    yield this("int16-stride", stride=(2, 2), padding="VALID")
    yield this("int16-dilation", dilation=(2, 2))
    yield this("int16-relu", activation="RELU")
    yield this("int16-per-tensor", per_channel=False)
    yield this("int16-no-bias", with_bias=False)


def _depth(name: str, shape: tuple[int, ...], *, dtype: str = "int8", **options: Any) -> Case:
    def build(network: Network) -> Value:
        return depthwise(network, network.input((1, *shape), dtype), **options)

    return Case(f"depthwise/{name}", build)


def _depthwise() -> Iterator[Case]:
    for kernel in ((1, 1), (3, 3), (5, 5), (7, 7), (11, 11), (1, 5), (8, 3), (10, 4)):
        yield _depth(f"{kernel[0]}x{kernel[1]}", (13, 12, 20), kernel=kernel)
    for stride in ((2, 2), (3, 3), (1, 2), (2, 1)):
        for padding in ("SAME", "VALID"):
            yield _depth(
                f"stride-{stride[0]}x{stride[1]}-{padding.lower()}",
                (11, 12, 9),
                stride=stride,
                padding=padding,
            )
    for dilation in ((2, 2), (1, 2), (3, 3)):
        yield _depth(f"dilation-{dilation[0]}x{dilation[1]}", (14, 13, 8), dilation=dilation)
    for depth in (1, 7, 16, 33, 100):
        yield _depth(f"depth-{depth}", (6, 5, depth))
    yield _depth("multiplier-8-of-1", (9, 8, 1), multiplier=8)
    yield _depth("multiplier-8-of-1-10x4", (25, 10, 1), multiplier=8, kernel=(10, 4), stride=(2, 2))
    yield _depth("multiplier-2-of-5", (9, 8, 5), multiplier=2)
    for activation in ("RELU", "RELU6", "RELU_N1_TO_1"):
        yield _depth(activation.lower(), (8, 7, 8), activation=activation)
    yield _depth("per-tensor", (9, 9, 12), per_channel=False)
    yield _depth("no-bias", (9, 9, 12), with_bias=False)
    yield _depth("int16", (9, 8, 20), dtype="int16")
    yield _depth("int16-stride-relu", (9, 8, 20), dtype="int16", stride=(2, 2), activation="RELU")
    yield _depth("int16-dilation", (9, 8, 20), dtype="int16", dilation=(2, 2))
    yield _depth("int16-per-tensor", (9, 8, 20), dtype="int16", per_channel=False)


def _transpose(
    name: str, shape: tuple[int, ...], channels: int, *, dtype: str = "int8", **options: Any
) -> Case:
    def build(network: Network) -> Value:
        return transpose_conv(network, network.input((1, *shape), dtype), channels, **options)

    return Case(f"transpose-conv/{name}", build)


def _transposed() -> Iterator[Case]:
    for kernel in (1, 2, 3, 4, 5):
        for padding in ("SAME", "VALID"):
            yield _transpose(
                f"{kernel}x{kernel}-{padding.lower()}",
                (6, 5, 7),
                9,
                kernel=(kernel, kernel),
                padding=padding,
            )
    yield _transpose("stride-1", (6, 5, 7), 9, stride=(1, 1))
    yield _transpose("stride-1-valid", (6, 5, 7), 9, stride=(1, 1), padding="VALID")
    yield _transpose("row", (1, 9, 7), 9, stride=(1, 2), kernel=(1, 4))
    yield _transpose("per-tensor", (6, 5, 7), 9, per_channel=False)
    yield _transpose("no-bias", (6, 5, 7), 9, with_bias=False)
    yield _transpose("deep", (5, 4, 40), 20)
    yield _transpose("int16", (6, 5, 7), 9, dtype="int16")
    yield _transpose("int16-valid", (6, 5, 7), 9, dtype="int16", padding="VALID")


def _dense(
    name: str, shape: tuple[int, ...], units: int, *, dtype: str = "int8", **options: Any
) -> Case:
    def build(network: Network) -> Value:
        return fully_connected(network, network.input(shape, dtype), units, **options)

    return Case(f"fully-connected/{name}", build)


def _fully_connected() -> Iterator[Case]:
    for depth, units in ((1, 1), (3, 2), (16, 8), (17, 33), (100, 10), (640, 128), (1025, 7)):
        yield _dense(f"{depth}-{units}", (1, depth), units)
    yield _dense("per-channel", (1, 60), 30, per_channel=True)
    yield _dense("relu", (1, 60), 30, activation="RELU")
    yield _dense("relu6-per-channel", (1, 60), 30, activation="RELU6", per_channel=True)
    yield _dense("no-bias", (1, 60), 30, with_bias=False)
    yield _dense("rank-3", (1, 7, 20), 12)
    yield _dense("rank-4", (1, 3, 4, 20), 12)
    yield _dense("int16", (1, 60), 30, dtype="int16")
    yield _dense("int16-relu", (1, 60), 30, dtype="int16", activation="RELU")
    yield _dense("int16-no-bias", (1, 60), 30, dtype="int16", with_bias=False)
