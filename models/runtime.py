"""TensorFlow, set up so that the same request gives the same bytes. Import it only from here.

A recipe may import TensorFlow before this module does. `models.environment` has prepared it then.

- `TF_USE_LEGACY_KERAS`: tfmot works only with Keras 2. TensorFlow reads this when it is imported.
- oneDNN is off: it chooses its kernels by the processor, while Eigen's are fixed when TensorFlow is
  compiled. Eigen still splits large products to fit the processor's caches, so it may sum in
  another order on another processor. The same bytes are promised only on the same kind of machine.
- No GPU, one thread, deterministic operations: nothing depends on devices, cores or scheduling. The
  networks are so small that more threads would gain little.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

from bench.core.errors import PrerequisiteError
from models.environment import prepare_environment
from models.extra import TRAIN_CURE

__all__ = ["library_versions", "reset", "tf", "tfmot"]


def _import() -> tuple[Any, Any]:
    prepare_environment()
    try:
        import tensorflow
        import tensorflow_model_optimization
    except ImportError as error:
        raise PrerequisiteError(
            f"building variants needs TensorFlow, which cannot be imported: {error}",
            cure=TRAIN_CURE,
        ) from error
    try:
        tensorflow.config.threading.set_intra_op_parallelism_threads(1)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise PrerequisiteError(
            "TensorFlow has computed something before it was set up for reproducible builds",
            cure="let a recipe use TensorFlow within model() and data(), not while it is imported",
        ) from error
    tensorflow.config.experimental.enable_op_determinism()
    return tensorflow, tensorflow_model_optimization


tf, tfmot = _import()


def reset(seed: int) -> None:
    """Forget earlier models and seed every generator, as in a new process."""
    tf.keras.backend.clear_session()
    # A recipe may use Keras 3, which counts the names of layers by itself.
    keras3 = sys.modules.get("keras")
    if keras3 is not None and hasattr(keras3, "utils"):
        keras3.utils.clear_session()
    tf.keras.utils.set_random_seed(seed)


def library_versions() -> dict[str, str]:
    """The versions of the libraries a build depends on."""
    names = ("tensorflow", "tf_keras", "tensorflow_model_optimization", "numpy")
    return {name: version(name) for name in names}
