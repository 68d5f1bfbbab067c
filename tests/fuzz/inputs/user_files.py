"""Models and data sets as users name them, through the check that a bench begins with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.arrays import Array
from bench.core.errors import BenchError
from bench.measuring.user_files import check_user_files, survey_user_data
from bench.plan.config import load_config
from bench.tflite.model_file import load_quantised
from tests.fuzz.containers import TfliteContainer, open_seed
from tests.fuzz.inputs.archives import mutate_archive
from tests.fuzz.inputs.trees import odd_file
from tests.fuzz.mutate_bytes import mutate_bytes
from tests.fuzz.mutate_graph import mutate_graph
from tests.fuzz.seeds import Seed
from tests.support.datasets import load_dataset

__all__ = ["dataset_case", "model_case", "mutate_model"]

Random = np.random.Generator

_CONFIG = """
[workloads.mine]
model = "model.tflite"
{dataset}
[[workloads.mine.limits]]
metric = "{metric}"
min = 0.1
"""
_ROWS = 8


def mutate_model(seed: Seed, random: Random) -> tuple[str, bytes]:
    """A quantised model, damaged in its structure or in its bytes."""
    container = open_seed(seed)
    if random.random() < 0.5 and isinstance(container, TfliteContainer):
        what, data = mutate_graph(container, random), container.close()
    else:
        what, data = mutate_bytes(seed.data, random, resize=bool(random.random() < 0.4))
    return f"{seed.name}: {what}", data


def model_case(
    models: tuple[Seed, ...], directory: Path, random: Random
) -> tuple[str, Callable[[], str]]:
    """A damaged model in `directory`, and its reading."""
    path = directory / "model.tflite"
    if random.random() < 0.03:
        what = f"is {odd_file(path, random)}"
    else:
        what, data = mutate_model(models[int(random.integers(len(models)))], random)
        path.write_bytes(data)
    return what, lambda: _read_model(directory)


def dataset_case(
    models: tuple[Seed, ...], directory: Path, random: Random
) -> tuple[str, Callable[[], str]]:
    """A damaged data set for an intact model in `directory`, and its reading."""
    model = models[int(random.integers(len(models)))]
    (directory / "model.tflite").write_bytes(model.data)
    path = directory / "data.npz"
    if random.random() < 0.05:
        what = f"is {odd_file(path, random)}"
    else:
        what, data = mutate_archive(_arrays(directory / "model.tflite", random), random)
        path.write_bytes(data)
    return f"{model.name}: {what}", lambda: _read_dataset(directory)


def _arrays(model: Path, random: Random) -> dict[str, Any]:
    """Inputs that fit the model, `[8, ...]`, and labels `[8]`."""
    tensors = load_quantised(model).inputs
    single = len(tensors) == 1
    arrays: dict[str, Any] = {
        "inputs" if single else f"inputs_{i}": random.random((_ROWS, *tensor.shape[1:])) * 0.1
        for i, tensor in enumerate(tensors)
    }
    arrays["labels"] = np.arange(_ROWS) % 3
    return arrays


def _checked(directory: Path, dataset: str, metric: str) -> None:
    path = directory / "bench.toml"
    path.write_text(_CONFIG.format(dataset=dataset, metric=metric), encoding="utf-8")
    config = load_config(path)
    check_user_files(config, path, ["mine"])
    survey_user_data(config, path, ["mine"])


def _read_model(directory: Path) -> str:
    load_quantised(directory / "model.tflite")
    _checked(directory, "", "npu_cycles")
    return ""


def _read_dataset(directory: Path) -> str:
    """Both with and without a limit that needs labels, which is asked for by another reader."""
    model = load_quantised(directory / "model.tflite")
    named = 'dataset = "data.npz"\n'
    refused = []
    steps: tuple[Callable[[], None], ...] = (
        lambda: _checked(directory, named, "npu_cycles"),
        lambda: _checked(directory, named, "accuracy"),
        lambda: _sound(load_dataset(directory / "data.npz", model).inputs),
    )
    for step in steps:
        try:
            step()
        except BenchError as error:
            refused.append(error)
    if refused:
        raise refused[0]
    return ""


def _sound(inputs: tuple[Array, ...]) -> None:
    rows = {len(array) for array in inputs}
    if len(rows) != 1 or 0 in rows:
        raise AssertionError(f"a data set of {rows} rows was taken")
