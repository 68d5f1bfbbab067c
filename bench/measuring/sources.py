"""Where quantised models and their test sets come from: training, a file, or an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.cache import JSON, ArtefactCache, CacheKey
from bench.core.address import shown
from bench.core.arrays import Array, digest_arrays
from bench.core.fingerprint import installed_version, source_fingerprint
from bench.measuring.accuracy import Dataset, load_dataset
from bench.measuring.download import download
from bench.measuring.progress import Sink, Task, waiting
from bench.plan.config import BenchConfig, ModelFileWorkload, TrainedWorkload
from bench.plan.metrics import AccuracyMetric
from bench.records.record import DataIdentity, ModelRecord
from bench.tflite.interpreters import random_inputs
from bench.tflite.model_file import ModelFile, load_quantised
from models.data import DataSource, write_test_set
from models.messages import BUILD_FILE, MODEL_FILE, BuildRequest, BuildResult
from models.service import VariantBuilder
from models.spec import TrainSpec

__all__ = ["ModelSource", "QuantisedModel", "TestSet"]

#: What a trained variant depends on besides its request.
_TRAINING_PACKAGES = ("tensorflow", "tf-keras", "tensorflow-model-optimization", "numpy")


@dataclass(frozen=True)
class QuantisedModel:
    """A quantised `.tflite` and what is known of its origin."""

    path: Path
    file: ModelFile
    record: ModelRecord


@dataclass(frozen=True)
class TestSet:
    """What a model is run on: inputs in the model's own dtype, and labels where there are any."""

    #: One array for each model input, `[n, ...]`.
    inputs: tuple[Array, ...]
    labels: Array | None
    #: Why there are no labels, when there are none.
    labels_absent: str
    metric: AccuracyMetric
    identity: DataIdentity

    def first(self, samples: int | None) -> TestSet:
        """The first `samples` inputs and labels only; None = all."""
        if samples is None:
            return self
        labels = None if self.labels is None else self.labels[:samples]
        inputs = tuple(array[:samples] for array in self.inputs)
        return replace(self, inputs=inputs, labels=labels)


class ModelSource:
    """Quantised models by workload and variant, built or fetched once."""

    def __init__(
        self,
        config: BenchConfig,
        *,
        cache: ArtefactCache,
        builder: VariantBuilder,
        data: DataSource,
        sink: Sink,
    ) -> None:
        self._config = config
        self._cache = cache
        self._builder = builder
        self._data = data
        self._sink = sink
        self._models: dict[tuple[str, str], QuantisedModel] = {}
        self._sets: dict[tuple[str, str], TestSet] = {}

    def quantised(self, workload: str, variant: str) -> QuantisedModel:
        """The quantised model of `variant`, trained, read or downloaded when it is needed.

        Raises:
            BuildError: training failed.
            ModelError: the file is missing, damaged or not a quantised model.
        """
        place = (workload, variant)
        if place not in self._models:
            spec = self._config.workloads[workload]
            if isinstance(spec, TrainedWorkload):
                self._models[place] = self._trained(workload, spec, variant)
            else:
                self._models[place] = self._from_file(workload, spec)
        return self._models[place]

    def test_set(self, workload: str, variant: str) -> TestSet:
        """The inputs `variant` is measured on, quantised as its input tensors are."""
        place = (workload, variant)
        if place not in self._sets:
            model = self.quantised(workload, variant)
            spec = self._config.workloads[workload]
            if isinstance(spec, TrainedWorkload):
                dataset = load_dataset(self._mnist_test_set(), model.file)
                self._sets[place] = _labelled(self._data.name, dataset, AccuracyMetric.TOP1)
            elif spec.dataset is not None:
                dataset = load_dataset(spec.dataset, model.file)
                self._sets[place] = _labelled(spec.dataset.name, dataset, spec.metric)
            else:
                self._sets[place] = _random(spec, model.file)
        return self._sets[place]

    def _mnist_test_set(self) -> Path:
        key = CacheKey("dataset", {"data": self._data.name, "recipe": source_fingerprint("models")})
        entry = self._cache.get_or_build(
            key, lambda directory: write_test_set(self._data, directory / "test.npz")
        )
        return entry.path / "test.npz"

    def _variant_key(self, workload: TrainedWorkload, variant: str) -> CacheKey:
        spec = workload.variants[variant]
        parent = (
            None if isinstance(spec, TrainSpec) else self._variant_key(workload, spec.parent).digest
        )
        parameters: dict[str, JSON] = {
            "architecture": workload.architecture,
            "spec": spec.model_dump(mode="json"),
            "quantise": workload.quantise.model_dump(mode="json"),
            "seed": workload.seed,
            "data": self._data.name,
            "parent": parent,
            "packages": {name: installed_version(name) for name in _TRAINING_PACKAGES},
            "recipe": source_fingerprint("models"),
        }
        return CacheKey("variant", parameters)

    def _trained_entry(self, name: str, workload: TrainedWorkload, variant: str) -> Path:
        spec = workload.variants[variant]
        parent = (
            None
            if isinstance(spec, TrainSpec)
            else self._trained_entry(name, workload, spec.parent)
        )

        def build(directory: Path) -> None:
            request = BuildRequest(
                workload=name,
                variant=variant,
                architecture=workload.architecture,
                spec=spec,
                quantise=workload.quantise,
                seed=workload.seed,
                data=self._data,
                parent_dir=parent,
            )
            with Task.running("train", f"{name}-{variant}", self._sink) as task:
                self._builder.build(request, directory, lambda p: task.say(p.text))

        key = self._variant_key(workload, variant)
        on_wait = waiting(f"{name}-{variant}", self._sink)
        return self._cache.get_or_build(key, build, on_wait=on_wait).path

    def _trained(self, name: str, workload: TrainedWorkload, variant: str) -> QuantisedModel:
        directory = self._trained_entry(name, workload, variant)
        result = BuildResult.model_validate_json((directory / BUILD_FILE).read_text())
        path = directory / MODEL_FILE
        return _quantised(path, "trained", _provenance(result))

    def _from_file(self, name: str, workload: ModelFileWorkload) -> QuantisedModel:
        if workload.model is not None:
            return _quantised(workload.model, "file", {"file": workload.model.name})
        assert workload.url is not None
        assert workload.sha256 is not None
        path = download(self._cache, name, workload.url, workload.sha256, self._sink)
        return _quantised(path, "file", {"url": shown(workload.url)})


def _quantised(path: Path, origin: str, provenance: Mapping[str, str]) -> QuantisedModel:
    file = load_quantised(path)
    record = ModelRecord.model_validate(
        {
            "origin": origin,
            "sha256": file.sha256,
            "size_bytes": file.size_bytes,
            "provenance": dict(provenance),
        }
    )
    return QuantisedModel(path, file, record)


def _labelled(name: str, dataset: Dataset, metric: AccuracyMetric) -> TestSet:
    samples = len(dataset.inputs[0])
    identity = DataIdentity(name=name, sha256=dataset.sha256, samples=samples)
    absent = "" if dataset.labels is not None else f"{name} has no labels"
    return TestSet(dataset.inputs, dataset.labels, absent, metric, identity)


def _random(workload: ModelFileWorkload, model: ModelFile) -> TestSet:
    inputs = random_inputs(model, workload.random_inputs, workload.seed)
    identity = DataIdentity(
        name=f"random seed {workload.seed}",
        sha256=digest_arrays(inputs),
        samples=workload.random_inputs,
    )
    absent = "no dataset is given, so there are no labels to be right about"
    return TestSet(inputs, None, absent, workload.metric, identity)


def _provenance(result: BuildResult) -> dict[str, str]:
    """What a reader of a record wants to know of how a variant was made."""
    facts = {
        "architecture": result.architecture,
        "method": result.training.method,
        "seed": str(result.seed),
        "epochs": str(result.training.epochs),
        "steps": str(result.training.steps),
        "train_images": str(result.data.train_images),
        "data_sha256": result.data.sha256,
        "float_accuracy": f"{result.float_accuracy:.4f}",
        "per_channel_dense": str(result.quantise.per_channel_dense).lower(),
    }
    return facts | {f"version.{name}": value for name, value in result.versions.items()}
