"""The environment that TensorFlow must find when it is imported; see `models.runtime`."""

from __future__ import annotations

import os
import sys

from bench.core.errors import PrerequisiteError

__all__ = ["prepare_environment"]

_ENVIRONMENT = {
    "TF_USE_LEGACY_KERAS": "1",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "CUDA_VISIBLE_DEVICES": "-1",
}


def prepare_environment() -> None:
    """Set the environment of this process. May be called again.

    Raises `PrerequisiteError` if TensorFlow was imported before.
    """
    if "tensorflow" in sys.modules and any(os.environ.get(k) != v for k, v in _ENVIRONMENT.items()):
        raise PrerequisiteError(
            "TensorFlow was imported before models.runtime, so it is not set up for "
            "reproducible builds",
            cure="build through models.service.VariantBuilder, which starts a process of its own",
        )
    os.environ.update(_ENVIRONMENT)
