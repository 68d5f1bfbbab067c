"""What only training needs, and a bench for finished models goes without: the extra `train`.

The extra `data` has data sets of recipes that come with the bench.

TensorFlow is not imported here.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

from bench.core.errors import PrerequisiteError
from bench.core.versions import installed_version

__all__ = ["DATA_CURE", "TRAIN_CURE", "require_training", "training_versions"]

#: How to get it.
TRAIN_CURE = 'pip install "ethos-u55-bench[train]"'
#: How to get the packages with data.
DATA_CURE = 'pip install "ethos-u55-bench[data]"'

#: The distributions that a trained variant depends on; `keras` makes or loads models of Keras 3.
_TRAINING = ("tensorflow", "tf-keras", "keras", "tensorflow-model-optimization", "numpy")


def training_versions() -> dict[str, str]:
    """The versions of what trains. Raises `PrerequisiteError` if a distribution is missing."""
    try:
        return {name: installed_version(name) for name in _TRAINING}
    except PackageNotFoundError as error:
        raise PrerequisiteError(
            f"training needs {error.name}, which is not installed", cure=TRAIN_CURE
        ) from error


def require_training(workload: str) -> None:
    """Raise `PrerequisiteError`, which names `workload`, if it cannot be trained here."""
    try:
        training_versions()
    except PrerequisiteError as error:
        raise PrerequisiteError(
            f"the workload {workload} is trained by the bench: {error.what}", cure=error.cure
        ) from error
