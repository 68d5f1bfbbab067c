"""Post-training quantisation of a Keras model to an int8 `.tflite`. Uses TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from models.runtime import tf
from models.spec import QuantiseSpec

__all__ = ["convert", "quantise"]


def quantise(model: Any, spec: QuantiseSpec, images: npt.NDArray[np.float32]) -> bytes:
    """The int8 `.tflite` of `model`, with int8 input and output and a batch of 1.

    `images` (float32 `[n, ...]`) are training images; the first `spec.calibration_images` of
    them give the ranges of the activations.

    The batch is fixed. Otherwise the converter computes it at run time with SHAPE, STRIDED_SLICE
    and PACK operators, which the NPU cannot run.
    """
    shape = (1, *images.shape[1:])

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[tf.TensorSpec(shape, tf.float32, name="image")], autograph=False
    )
    def infer(image: Any) -> Any:
        return tf.identity(model(image, training=False), name="probabilities")

    def calibration() -> Iterator[list[npt.NDArray[np.float32]]]:
        for index in range(min(spec.calibration_images, len(images))):
            yield [images[index : index + 1]]

    # Convert a function, not the model: the latter goes through a SavedModel on disk, which takes
    # up to ten times as long and gives the same operators.
    function = infer.get_concrete_function()
    return convert(function, calibration, per_channel_dense=spec.per_channel_dense)


def convert(
    function: Any,
    calibration: Callable[[], Iterator[list[npt.NDArray[np.float32]]]],
    *,
    per_channel_dense: bool,
) -> bytes:
    """The int8 `.tflite` of a concrete TensorFlow function, with int8 inputs and outputs.

    `calibration` yields, for each sample, an array for each input; these give the ranges of the
    activations. `per_channel_dense` is as in `QuantiseSpec`.
    """
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    converter._experimental_disable_per_channel_quantization_for_dense_layers = (
        not per_channel_dense
    )
    return bytes(converter.convert())
