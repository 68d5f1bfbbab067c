"""The files that the configuration names, checked before they are used."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import BenchError, ConfigError, ModelError
from bench.core.logging import logger
from bench.measuring.datasets import LABELS, open_archive, require_fit, survey_dataset
from bench.measuring.frozen import check_frozen_variants
from bench.measuring.inputs import sha256_of
from bench.measuring.testsets import judged_output_of
from bench.plan.config import BenchConfig, CustomMetric, ModelFileWorkload, TrainedWorkload
from bench.plan.metrics import MetricName
from bench.tflite.adaptation import adapt
from bench.tflite.model_file import ModelFile, check_quantised
from bench.tflite.reader import read_graph

__all__ = ["check_user_files", "survey_user_data"]

_LOG = logger(__name__)

#: Share of saturated values from which the bench warns; noise has outliers.
_TELL_SATURATED = 0.001


def check_user_files(
    config: BenchConfig, config_path: Path, planned: Collection[str]
) -> dict[Path, str]:
    """Check the files of the `planned` workloads; returns models and metrics, with their sha256.

    Frozen variants are among the models.

    Of data sets only the headers are read: whether the arrays that they declare fit the model, and
    whether there are labels where a limit needs them. See `survey_user_data` for the values. Raises
    `BenchError`, which names configuration, key and file.
    """
    found = check_frozen_variants(config, config_path, planned)
    found |= _training_files(config, config_path, planned)
    for key, workload in _planned(config, config_path, planned):
        if workload.dataset is not None:
            _check_labels(workload, workload.dataset, key)
        if isinstance(workload.metric, CustomMetric):
            found[workload.metric.file] = _digest(workload.metric.file, f"{key}.metric")
        if workload.model is not None:
            model = _model(workload.model, key)
            found[workload.model] = model.file_sha256
            if model.changes:
                _LOG.warning(
                    "%s.model: %s is changed before it is compiled: %s",
                    *(key, workload.model.name, "; ".join(model.changes)),
                )
            if workload.dataset is not None:
                _check_headers(workload.dataset, model.compiled, key)
    return found


def survey_user_data(
    config: BenchConfig, config_path: Path, planned: Collection[str]
) -> dict[Path, str]:
    """Check all values of the `planned` workloads' data sets; returns each with its sha256.

    They are read in pieces. Raises `BenchError`, which names configuration, key and file, if a
    value is not finite, if too many are saturated, or if the labels fit no output.
    """
    found: dict[Path, str] = {}
    for key, workload in _planned(config, config_path, planned):
        dataset = workload.dataset
        if dataset is None:
            continue
        found[dataset] = _digest(dataset, f"{key}.dataset")
        # A model that is downloaded can be compared with its data only then.
        if workload.model is not None:
            _survey(workload, dataset, _model(workload.model, key).compiled, f"{key}.dataset")
    return found


def _planned(
    config: BenchConfig, config_path: Path, planned: Collection[str]
) -> Iterator[tuple[str, ModelFileWorkload]]:
    """The users' own among the planned workloads, each with its place in the configuration."""
    for name in sorted(planned):
        workload = config.workloads[name]
        if isinstance(workload, ModelFileWorkload):
            yield f"{config_path}: workloads.{name}", workload


def _training_files(
    config: BenchConfig, config_path: Path, planned: Collection[str]
) -> dict[Path, str]:
    """The Keras models, archives of data and metrics of workloads with training."""
    found: dict[Path, str] = {}
    for name in sorted(planned):
        workload = config.workloads[name]
        if not isinstance(workload, TrainedWorkload):
            continue
        files = {"keras": workload.keras, "data": workload.data}
        if isinstance(workload.metric, CustomMetric):
            files["metric"] = workload.metric.file
        for key, path in files.items():
            # A SavedModel is a directory, which is compared with its hash when it is loaded.
            if path is not None and not path.is_dir():
                found[path] = _digest(path, f"{config_path}: workloads.{name}.{key}")
    return found


@dataclass(frozen=True)
class _Model:
    """A user's model."""

    #: As it will be compiled.
    compiled: ModelFile
    #: Of the file itself.
    file_sha256: str
    #: What is changed in it before it is compiled.
    changes: tuple[str, ...]


def _model(path: Path, key: str) -> _Model:
    try:
        graph = read_graph(path)
        adapted = adapt(graph, path)
        compiled = check_quantised(adapted.data, path)
        return _Model(compiled, hashlib.sha256(graph.data).hexdigest(), adapted.changes)
    except ModelError as error:
        raise ModelError(f"{key}.model: {error}") from error


def _check_headers(dataset: Path, model: ModelFile, key: str) -> None:
    try:
        with open_archive(dataset) as archive:
            require_fit(dataset, archive.headers, model)
    except ModelError as error:
        raise ModelError(f"{key}.dataset: {error}") from error


def _survey(workload: ModelFileWorkload, dataset: Path, model: ModelFile, key: str) -> None:
    try:
        found = survey_dataset(dataset, model)
        judged_output_of(workload, dataset, found, model)
    except ModelError as error:
        raise ModelError(f"{key}: {error}") from error
    if found.saturated >= _TELL_SATURATED:
        _LOG.warning(
            "%s: %.1f %% of the values are cut: %s", key, 100 * found.saturated, found.ranges
        )


def _check_labels(workload: ModelFileWorkload, dataset: Path, key: str) -> None:
    """Check that the dataset can be opened, and has labels if there are limits on the accuracy."""
    limits = [rule.metric for rule in workload.limits]
    try:
        with open_archive(dataset) as archive:
            labelled = LABELS in archive.members
    except ModelError as error:
        raise ModelError(f"{key}.dataset: {error.what}", cure=error.cure) from error
    if MetricName.ACCURACY in limits and not labelled:
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
