"""Known architectures with random weights, as quantised `.tflite` files. Uses TensorFlow.

`python -m benchmarks.architectures rnnoise_INT8 rnnoise.tflite`; the names are those of the
published rows that `benchmarks.reconstructions` compares them with.

Sources of the architectures: MobileNetV2 (Sandler et al., arXiv:1801.04381); Wav2letter (Collobert
et al., arXiv:1609.03193) and RNNoise (Valin, arXiv:1709.08243) in the shapes of Arm's ML zoo;
the two MicroNets (Banbury et al., arXiv:2010.11267) layer by layer from Vela's schedules of them,
as published with the FVP rows. The weights' distributions are those that bring the encoded size
nearest to the published AXI1 beats.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.core.files import write_atomically
from models.quantise import convert
from models.runtime import reset, tf
from models.spec import QuantiseSpec

__all__ = ["NETWORKS", "Network", "reconstruct"]

_SEED = 1

Float32 = npt.NDArray[np.float32]
Weights = Callable[[np.random.Generator, tuple[int, ...]], npt.NDArray[np.float64]]


def gaussian(
    random: np.random.Generator, shape: tuple[int, ...], sparsity: float = 0.0
) -> npt.NDArray[np.float64]:
    """Normally distributed; the share `sparsity` of smallest ones is zero."""
    values = random.normal(size=shape)
    values[np.abs(values) < np.quantile(np.abs(values), sparsity)] = 0
    return values


def half_pruned(random: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Arm's card says "pruned", not by how much; half gives the published size within 1 %."""
    return gaussian(random, shape, 0.5)


def uniform(random: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Every value is equally likely: weights that hardly compress."""
    return random.uniform(-1, 1, shape)


def mobilenet_v2() -> Any:
    """MobileNetV2 1.0 224 with 1001 classes; the classifier is a convolution in Arm's ML zoo."""
    layers = tf.keras.layers
    features = tf.keras.applications.MobileNetV2(
        weights=None, input_shape=(224, 224, 3), include_top=False
    )
    x = layers.GlobalAveragePooling2D(keepdims=True)(features.output)
    x = layers.Reshape((1001,))(layers.Conv2D(1001, 1)(x))
    return tf.keras.Model(features.input, layers.Softmax()(x))


def wav2letter() -> Any:
    """296 frames of 39 features; one-dimensional convolutions written as two-dimensional ones."""
    layers = tf.keras.layers
    shape = (250, 48, 2), *[(250, 7, 1)] * 7, (2000, 32, 1), (2000, 1, 1)
    frames = x = tf.keras.Input((1, 296, 39))
    for filters, width, stride in shape:
        x = layers.Conv2D(filters, (1, width), strides=(1, stride), padding="same")(x)
        x = layers.LeakyReLU(0.2)(x)
    x = layers.Conv2D(29, 1)(x)
    return tf.keras.Model(frames, layers.Softmax()(x))


def rnnoise() -> Any:
    """One step of RNNoise: three GRUs, whose states are inputs and outputs."""
    layers = tf.keras.layers
    frame = tf.keras.Input((1, 42), batch_size=1, name="frame")
    voice_in, noise_in, denoise_in = states = [
        tf.keras.Input((units,), batch_size=1, name=name)
        for name, units in (("voice", 24), ("noise", 48), ("denoise", 96))
    ]

    def gru(units: int, activation: str, x: Any, state: Any) -> Any:
        layer = layers.GRU(units, activation=activation, return_sequences=True, unroll=True)
        return layer(x, initial_state=state)

    dense = layers.Dense(24, activation="tanh")(frame)
    voice = gru(24, "tanh", dense, voice_in)
    noise = gru(48, "relu", layers.concatenate([dense, voice, frame]), noise_in)
    denoise = gru(96, "tanh", layers.concatenate([voice, noise, frame]), denoise_in)
    gains = layers.Dense(22, activation="sigmoid")(denoise)
    activity = layers.Dense(1, activation="sigmoid")(voice)
    return tf.keras.Model([frame, *states], [gains, activity, voice, noise, denoise])


def _normalised(x: Any, layer: Any) -> Any:
    return tf.keras.layers.BatchNormalization()(layer(x))


def _relu6(x: Any, layer: Any) -> Any:
    return tf.keras.layers.ReLU(6.0)(_normalised(x, layer))


def _depthwise(x: Any, stride: int) -> Any:
    layer = tf.keras.layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)
    return _relu6(x, layer)


def _pointwise(channels: int) -> Any:
    return tf.keras.layers.Conv2D(channels, 1, use_bias=False)


def micronet_ad() -> Any:
    """MicroNet-M for anomaly detection."""
    layers = tf.keras.layers
    image = x = tf.keras.Input((32, 32, 1))
    x = _relu6(x, layers.Conv2D(192, 3, padding="same", use_bias=False))
    for stride in (2, 1, 1, 2, 2):
        x = _relu6(_depthwise(x, stride), _pointwise(276))
    x = layers.Conv2D(8, 1)(layers.AveragePooling2D(4)(x))
    return tf.keras.Model(image, layers.Reshape((8,))(x))


#: Inverted bottlenecks of `micronet_vww`: expanded channels, stride, output channels, whether the
#: input is added.
_VWW = (
    *((4, 1, 4, False), (8, 2, 12, False), (14, 1, 16, True), (28, 2, 32, False)),
    *((96, 1, 28, True), (96, 1, 28, True), (152, 2, 44, False), (268, 1, 40, True)),
    *((268, 1, 52, True), (268, 1, 44, True), (192, 1, 68, False), (172, 1, 68, True)),
    *((172, 1, 48, True), (288, 2, 16, False), (96, 1, 16, True), (96, 1, 32, True)),
    (96, 1, 32, False),
)


def micronet_vww() -> Any:
    """MicroNet VWW-4 for visual wake words; sums pad the operand with fewer channels."""
    layers = tf.keras.layers
    image = x = tf.keras.Input((128, 128, 1))
    x = _relu6(x, layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False))
    for expanded, stride, channels, added in _VWW:
        y = _depthwise(_relu6(x, _pointwise(expanded)), stride)
        y = _normalised(y, _pointwise(channels))
        if added:
            wide = max(x.shape[-1], channels)
            x, y = (
                tf.pad(each, ((0, 0), (0, 0), (0, 0), (0, wide - each.shape[-1])))
                if each.shape[-1] < wide
                else each
                for each in (x, y)
            )
            y = layers.Add()([x, y])
        x = y
    x = layers.AveragePooling2D(4)(_relu6(x, _pointwise(128)))
    return tf.keras.Model(image, layers.Reshape((2,))(layers.Conv2D(2, 1)(x)))


@dataclass(frozen=True)
class Network:
    """A network to rebuild."""

    #: Its name in the published rows.
    published: str
    build: Callable[[], Any]
    weights: Weights
    #: Range of each input, in the model's order; a single one by default.
    ranges: Sequence[tuple[float, float]] = ((-3.0, 3.0),)


#: The ranges of RNNoise are those for which the published model's inputs are quantised.
NETWORKS = (
    Network("rnnoise_INT8", rnnoise, uniform, ((-31.3, 25.1), (-1, 1), (0, 12.2), (-1, 1))),
    Network("ad_medium_int8", micronet_ad, uniform),
    Network("vww4_128_128_INT8", micronet_vww, uniform),
    Network("mobilenet_v2_1.0_224_INT8", mobilenet_v2, gaussian),
    Network("wav2letter_pruned_int8", wav2letter, half_pruned),
)


def reconstruct(network: Network) -> bytes:
    """The quantised `.tflite` of `network` with random weights."""
    reset(_SEED)
    random = np.random.default_rng(_SEED)
    model = network.build()
    for layer in model.layers:
        weights = layer.get_weights()
        if not weights or isinstance(layer, tf.keras.layers.BatchNormalization):
            continue
        layer.set_weights(
            [
                network.weights(random, each.shape) / np.sqrt(max(1, np.prod(each.shape[:-1])))
                if each.ndim > 1
                else each
                for each in weights
            ]
        )
    return _quantised(model, network.ranges, random)


def _quantised(
    model: Any, ranges: Sequence[tuple[float, float]], random: np.random.Generator
) -> bytes:
    """Quantised for inputs from anywhere in their ranges."""
    signature = [
        tf.TensorSpec((1, *each.shape[1:]), tf.float32, name=f"input_{i}")
        for i, each in enumerate(model.inputs)
    ]

    @tf.function(input_signature=signature, autograph=False)  # type: ignore[untyped-decorator]
    def infer(*inputs: Any) -> Any:
        return model(list(inputs) if len(inputs) > 1 else inputs[0], training=False)

    def calibration() -> Iterator[list[Float32]]:
        for _ in range(4):
            yield [
                random.uniform(*limits, spec.shape).astype(np.float32)
                for limits, spec in zip(ranges, signature, strict=True)
            ]

    return convert(infer.get_concrete_function(), calibration, QuantiseSpec())


def main() -> None:
    """Write one network."""
    names = [network.published for network in NETWORKS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=names, help="the published name")
    parser.add_argument("output", type=Path, help="the .tflite to write")
    arguments = parser.parse_args()
    (network,) = (each for each in NETWORKS if each.published == arguments.network)
    write_atomically(arguments.output, reconstruct(network))


if __name__ == "__main__":
    main()
