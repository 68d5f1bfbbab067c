"""Data sets fitted to models as a run fits them, but without a cache."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.measuring.datasets import Dataset, fit_dataset, fitted_dataset
from bench.tflite.model_file import ModelFile

__all__ = ["load_dataset"]


def load_dataset(path: Path, model: ModelFile) -> Dataset:
    """The data set at `path`, fitted to `model`; what is mapped outlives its file's name."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        fit_dataset(path, model, directory)
        return fitted_dataset(path, model, lambda file: directory / file)
