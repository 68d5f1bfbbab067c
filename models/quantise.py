"""From a Keras model to an int8 or int16x8 `.tflite`. Uses TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.core.arrays import Array
from bench.core.errors import BuildError
from bench.core.text import one_line
from models.runtime import tf
from models.spec import QuantiseSpec

__all__ = ["convert", "quantise"]


def quantise(
    model: Any, spec: QuantiseSpec, inputs: Sequence[Array], outputs: Sequence[str]
) -> bytes:
    """The `.tflite` of `model`, with int8 or int16 inputs and outputs and a batch of 1.

    Ranges that quantisation-aware training put into `model` are taken from there.

    `inputs` are calibration samples, an array `[n, ...]` for each input of the model; the first
    `spec.calibration_images` of them give the ranges of the activations. `outputs` is what the
    outputs are called in the `.tflite`; its inputs have Keras's names.

    The batch is fixed. Otherwise the converter computes it at run time with SHAPE, STRIDED_SLICE
    and PACK operators, which the NPU cannot run.
    """
    signature = [
        tf.TensorSpec((1, *array.shape[1:]), array.dtype, name=_word(name))
        for array, name in zip(inputs, model.input_names, strict=True)
    ]

    @tf.function(input_signature=signature, autograph=False)  # type: ignore[untyped-decorator]
    def infer(*samples: Any) -> Any:
        given = samples[0] if len(samples) == 1 else list(samples)
        found = model(given, training=False)
        if not isinstance(found, (list, tuple)):
            return tf.identity(found, name=_word(outputs[0]))
        return [tf.identity(a, name=_word(b)) for a, b in zip(found, outputs, strict=True)]

    def calibration() -> Iterator[list[Array]]:
        for index in range(min(spec.calibration_images, len(inputs[0]))):
            yield [np.asarray(array[index : index + 1]) for array in inputs]

    # Convert a function, not the model: the latter goes through a SavedModel on disk, which takes
    # up to ten times as long and gives the same operators.
    function = infer.get_concrete_function()
    return convert(function, calibration, spec)


def _word(name: str) -> str:
    """As TensorFlow takes names of operators."""
    return re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", name)


def convert(
    function: Any,
    calibration: Callable[[], Iterator[list[npt.NDArray[np.float32]]]],
    spec: QuantiseSpec,
) -> bytes:
    """The `.tflite` of a concrete TensorFlow function, quantised throughout.

    `calibration` yields, for each sample, an array for each input; these give the ranges of the
    activations.

    Raises:
        BuildError: the converter cannot quantise an operator in this way.
    """
    from tensorflow.lite.python.convert import ConverterError

    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    operators, activations = _kinds(spec)
    converter.target_spec.supported_ops = [operators]
    converter.inference_input_type = activations
    converter.inference_output_type = activations
    converter._experimental_disable_per_channel = not spec.per_channel
    converter._experimental_disable_per_channel_quantization_for_dense_layers = (
        not spec.per_channel_dense
    )
    try:
        return bytes(converter.convert())
    except (RuntimeError, ConverterError) as error:
        # The converter says one thing once for each operator, in lines of its own.
        words = "; ".join(dict.fromkeys(str(error).splitlines()))
        raise BuildError(
            f"the converter cannot quantise this model to {spec.activations} activations: "
            f"{one_line(words)}"
        ) from error


def _kinds(spec: QuantiseSpec) -> tuple[Any, Any]:
    """The converter's names of the set of operators, and of the type of inputs and outputs."""
    sets = tf.lite.OpsSet
    if spec.activations == "int16":
        return sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8, tf.int16
    return sets.TFLITE_BUILTINS_INT8, tf.int8
