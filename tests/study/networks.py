"""The network of the study: a small classifier, its labelled data, and what can go wrong."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from bench.core.arrays import Array
from bench.tflite.reference import ReferenceRunner
from tests.operators.network import Network, Quantisation, Value
from tests.operators.reducing import pool
from tests.operators.shaping import reshape
from tests.operators.weighted import conv2d, depthwise, fully_connected, transpose_conv

__all__ = ["Design", "base", "inputs_and_labels"]

SAMPLES = 60


@dataclass(frozen=True)
class Design:
    """What is decided about the network; see `base`."""

    seed: int = 7
    channels: int = 16
    #: Pointwise convolutions in the middle.
    layers: int = 2
    stride: int = 2
    separable: bool = True
    dtype: str = "int8"
    #: Outputs of the wide layer, which the flash decides.
    wide: int = 96
    #: Share of its weights that are 0, and how many different values they have; 0: any.
    sparsity: float = 0.8
    clusters: int = 16
    #: A transposed convolution of stride 3 at the start, which Vela leaves to the CPU; alone, or
    #: before the rest.
    on_cpu: Literal["", "first", "alone"] = ""
    #: By how much the range of the first activation is too small.
    cut: float = 1.0
    #: Whether the last layer was forgotten when the weights were stored.
    dead: bool = False
    #: Its biases, in quanta.
    biases: tuple[int, ...] = (0,) * 10
    #: By how much the last output's range is smaller than what could occur.
    gain: float = 1

    def model(self) -> bytes:
        """The `.tflite` file."""
        return self.built()[0]

    def built(self) -> tuple[bytes, float]:
        """The file, and how many quanta of the last biases are one of its output."""
        network = _Stored(self)
        value = network.input((1, 16, 16, 4), self.dtype)
        if self.on_cpu:
            value = transpose_conv(network, value, 4, stride=(3, 3))
        if self.on_cpu == "alone":
            return network.serialise([value]), 0
        value = conv2d(network, value, self.channels, stride=(self.stride,) * 2, activation="RELU")
        for _ in range(self.layers):
            middle = (
                depthwise(network, value)
                if self.separable
                else conv2d(network, value, self.channels)
            )
            value = conv2d(network, middle, self.channels, (1, 1), activation="RELU")
        value = pool(network, value, "MAX", (2, 2))
        value = reshape(network, value, (1, int(np.prod(value.shape))))
        network.store = _compressed
        value = fully_connected(network, value, self.wide, activation="RELU")
        network.store = _last
        logits = Quantisation(value.rms * math.sqrt(self.wide) * 0.008 / self.gain)
        last = fully_connected(network, value, 10, quantisation=logits, mean_scale=0.008)
        return network.serialise([last]), logits.scale / (value.scale * 0.008)


class _Stored(Network):
    """Stores weights as training would leave them, and ranges as a calibration would."""

    def __init__(self, design: Design) -> None:
        super().__init__(design.seed)
        self._design = design
        self.store: Callable[[Array, Design], Array] = _as_they_are

    def constant(
        self,
        data: Array,
        scale: float | tuple[float, ...] | None = None,
        zero_point: int = 0,
        channel_axis: int = 0,
    ) -> Value:
        stored = self.store(data, self._design)
        return super().constant(stored, scale, zero_point, channel_axis)

    def apply(
        self,
        builtin: str,
        inputs: Sequence[Value | None],
        shape: Sequence[int],
        dtype: str,
        quantisation: Quantisation | None,
        options: object | None = None,
        version: int = 1,
        intermediates: Sequence[Value] = (),
    ) -> Value:
        if builtin == "CONV_2D" and quantisation is not None:
            scale = quantisation.scale / self._design.cut
            quantisation = Quantisation(scale, quantisation.zero_point)
        return super().apply(
            builtin, inputs, shape, dtype, quantisation, options, version, intermediates
        )


def _as_they_are(data: Array, _: Design) -> Array:
    return data


def _last(data: Array, design: Design) -> Array:
    if data.dtype == np.int32:
        return np.array(design.biases, np.int32)
    return np.zeros_like(data) if design.dead else data


def _compressed(data: Array, design: Design) -> Array:
    if data.dtype != np.int8:
        return data
    weights = data.astype(np.int32)
    found = weights.copy()
    if design.clusters:
        step = 255 / design.clusters
        found = np.round(np.round(weights / step) * step).astype(np.int32)
    found[np.abs(weights) <= np.quantile(np.abs(weights), design.sparsity)] = 0
    stored: Array = np.clip(found, -127, 127).astype(np.int8)
    return stored


def _coarse_patterns() -> Array:
    """float32 `[400, 16, 16, 4]`. Of fine noise the network would take the mean, one for all."""
    coarse = np.random.default_rng(11).uniform(-2, 1.9, (400, 4, 4, 4)).astype(np.float32)
    patterns: Array = coarse.repeat(4, axis=1).repeat(4, axis=2)
    return patterns


def _logits(design: Design, inputs: Array) -> Array:
    """int8 `[n, 10]`, by the reference interpreter."""
    # The generator's inputs have this scale and zero point.
    stored = np.clip(np.round(inputs / 0.0157) - 3, -128, 127).astype(np.int8)
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        file.write(design.model())
        file.flush()
        outputs = ReferenceRunner()(Path(file.name), [stored])
    assert outputs.outputs, outputs.absent
    return outputs.outputs[0].reshape(len(inputs), -1)


@cache
def base() -> Design:
    """The network as the team ships it: no class is likelier than another."""
    design = Design()
    means = _logits(design, _coarse_patterns()).astype(np.float64).mean(axis=0)
    biases = tuple(int(value) for value in -means * design.built()[1])
    return replace(design, biases=biases, gain=4)


def inputs_and_labels(design: Design) -> tuple[Array, Array]:
    """Inputs float32 `[60, 16, 16, 4]`, and the classes int64 `[60]` that the network gives."""
    inputs = _coarse_patterns()
    classes = _logits(design, inputs).argmax(axis=1)
    places = [np.flatnonzero(classes == one).tolist() for one in np.unique(classes)]
    assert len(places) > 2, "the network cannot tell its inputs apart"
    chosen: list[int] = []
    while len(chosen) < SAMPLES:
        # Some of each class in turn, so that no class can be guessed.
        chosen += [place.pop() for place in places if place]
    picked = np.array(chosen[:SAMPLES])
    return inputs[picked], classes[picked]
