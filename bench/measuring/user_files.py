"""The files that a user names for their own model, checked before they are used."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

from bench.core.errors import BenchError, ConfigError, ModelError
from bench.core.logging import logger
from bench.measuring.archive import open_archive
from bench.measuring.datasets import Dataset
from bench.measuring.inputs import sha256_of
from bench.measuring.sources import judged_dataset
from bench.plan.config import BenchConfig, CustomMetric, ModelFileWorkload
from bench.plan.metrics import MetricName
from bench.tflite.adaptation import adapt, needs_adapting
from bench.tflite.model_file import ModelFile, check_quantised, load_quantised
from bench.tflite.reader import read_graph

__all__ = ["check_user_files"]

_LOG = logger(__name__)

#: Share of saturated values from which the bench warns; noise has outliers.
_TELL_SATURATED = 0.001


def check_user_files(
    config: BenchConfig, config_path: Path, planned: Collection[str]
) -> dict[Path, str]:
    """Check the files of the `planned` workloads; returns each with its sha256.

    It checks that models, datasets and metrics can be read, and that inputs and labels fit the
    model. Raises `BenchError`, which names configuration, key and file.
    """
    found: dict[Path, str] = {}
    for name in sorted(planned):
        workload = config.workloads[name]
        if isinstance(workload, ModelFileWorkload):
            found |= _checked(workload, f"{config_path}: workloads.{name}")
    return found


def _checked(workload: ModelFileWorkload, key: str) -> dict[Path, str]:
    found: dict[Path, str] = {}
    dataset, metric = workload.dataset, workload.metric
    if dataset is not None:
        _check_labels(workload, dataset, key)
    if isinstance(metric, CustomMetric):
        found[metric.file] = _digest(metric.file, f"{key}.metric")
    if workload.model is None:
        # It is downloaded when it is needed, and can be compared with the dataset only then.
        return found if dataset is None else found | {dataset: _digest(dataset, f"{key}.dataset")}
    try:
        model, found[workload.model] = _model(workload.model, f"{key}.model")
    except ModelError as error:
        raise ModelError(f"{key}.model: {error}") from error
    if dataset is not None:
        try:
            loaded, _ = judged_dataset(workload, dataset, model)
        except ModelError as error:
            raise ModelError(f"{key}.dataset: {error}") from error
        found[dataset] = loaded.sha256
        _warn_of_saturation(loaded, f"{key}.dataset")
    return found


def _model(path: Path, key: str) -> tuple[ModelFile, str]:
    """The model as it will be compiled, and the sha256 of the file itself."""
    graph = read_graph(path)
    sha256 = hashlib.sha256(graph.data).hexdigest()
    if not needs_adapting(graph):
        return load_quantised(path), sha256
    adapted = adapt(graph, path)
    model = check_quantised(adapted.data, path)
    _LOG.warning(
        "%s: %s is changed before it is compiled: %s", key, path.name, "; ".join(adapted.changes)
    )
    return model, sha256


def _check_labels(workload: ModelFileWorkload, dataset: Path, key: str) -> None:
    """Check that limits on the accuracy have labels; the rest of the dataset is not checked."""
    limits = [rule.metric for rule in workload.limits]
    if MetricName.ACCURACY not in limits:
        return
    try:
        labelled = "labels" in open_archive(dataset).headers
    except ModelError as error:
        raise ModelError(f"{key}.dataset: {error.what}", cure=error.cure) from error
    if not labelled:
        raise ConfigError(
            f"{key}.limits[{limits.index(MetricName.ACCURACY)}].metric: "
            f"{dataset} has no labels, so there is no accuracy",
            cure="add the array `labels` to it, or remove the limit",
        )


def _digest(path: Path, key: str) -> str:
    try:
        return sha256_of(path)
    except BenchError as error:
        raise ConfigError(
            f"{key}: {error.what}", cure="the path is relative to the configuration file"
        ) from error


def _warn_of_saturation(dataset: Dataset, key: str) -> None:
    if dataset.saturated >= _TELL_SATURATED:
        _LOG.warning(
            "%s: %.1f %% of the values are cut: %s", key, 100 * dataset.saturated, dataset.ranges
        )
