"""Where quantised models come from: training, a file, or an address."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from bench.cache import JSON, Entry
from bench.core.address import shown
from bench.core.download import fetch
from bench.core.errors import ModelError
from bench.core.schema import StrictModel
from bench.core.versions import installed_version
from bench.measuring.origins import QuantisedModel, quantised_model
from bench.measuring.products import Product, ProductStore
from bench.measuring.progress import Task
from bench.measuring.recipes import (
    TRAINING_CODE,
    SurveyedRecipe,
    built_in,
    stored_data,
)
from bench.measuring.testsets import TestSet, obtain_test_set, test_set_of
from bench.measuring.what_if import compressed_model
from bench.plan.config import FrozenModel, ModelFileWorkload, TrainedWorkload, Workload
from bench.tflite.adaptation import adapt, needs_adapting
from bench.tflite.compression.layers import LayerChoice
from bench.tflite.compression.points import Clustering, Point
from bench.tflite.model_file import check_quantised, load_quantised
from bench.tflite.reader import read_graph
from models.data import DataSource
from models.extra import training_versions
from models.messages import BUILD_FILE, MODEL_FILE, BuildRequest, BuildResult, StoredData
from models.service import VariantBuilder
from models.spec import TrainSpec

__all__ = [
    "ADAPTING_CODE",
    "ModelSource",
    "frozen_model",
]

#: What changes a user's model.
ADAPTING_CODE = ("bench.tflite.adaptation",)

_CHANGES = "changes.json"


class ModelSource:
    """Where models and test sets come from. Makes each when asked; remembers nothing."""

    def __init__(
        self,
        *,
        store: ProductStore,
        builder: VariantBuilder,
        data: DataSource,
        recipes: Mapping[str, SurveyedRecipe],
    ) -> None:
        """`data` is for the built-in recipes; `recipes` are the users', by workload."""
        self._store = store
        self._builder = builder
        self._data = data
        self._recipes = recipes

    def quantised(self, name: str, workload: Workload, variant: str) -> QuantisedModel:
        """The quantised model of a variant of `workload`: trained, frozen, downloaded, or a file.

        Raises:
            BuildError, DownloadError: training or downloading failed.
            ModelError: the file is missing, damaged or not a quantised model.
        """
        if isinstance(workload, TrainedWorkload):
            frozen = workload.frozen.get(variant)
            if frozen is not None:
                return frozen_model(workload, variant, frozen)
            return self._trained(name, workload, variant)
        base = self._file(name, workload)
        spec = workload.variants[variant]
        if spec is None:
            return base
        return compressed_model(
            self._store,
            f"{name}-{variant}",
            base,
            Point(spec.sparsity, spec.clusters),
            LayerChoice(spec.layers),
            Clustering(spec.spacing, spec.per_channel),
        )

    def _file(self, name: str, workload: ModelFileWorkload) -> QuantisedModel:
        if workload.model is not None:
            return self._adapted(name, workload.model, {"file": workload.model.name})
        assert workload.url is not None
        assert workload.sha256 is not None
        path = self._downloaded(name, workload.url, workload.sha256)
        return self._adapted(name, path, {"url": shown(workload.url)})

    def test_set(self, name: str, workload: Workload, model: QuantisedModel) -> TestSet:
        """The test set of `model`, quantised like its input tensors; see `obtain_test_set`."""
        if isinstance(workload, ModelFileWorkload):
            return obtain_test_set(self._store, workload, model.file)
        stored = self._data_of(name, workload)
        return test_set_of(self._store, workload, stored.name, stored.files["test"], model.file)

    def variant_product(self, name: str, workload: TrainedWorkload, variant: str) -> Product:
        """Under what the cache holds a trained variant, whether or not it does."""
        return self._variant_product(name, workload, variant)

    def training_data(self, name: str, workload: TrainedWorkload) -> StoredData:
        """The data of a trained workload, in the cache. Raises `BuildError`."""
        return self._data_of(name, workload)

    def _recipe(self, name: str, workload: TrainedWorkload) -> SurveyedRecipe:
        return self._recipes.get(name) or built_in(workload, self._data)

    def _data_of(self, name: str, workload: TrainedWorkload) -> StoredData:
        return stored_data(name, self._recipe(name, workload), self._builder, self._store)

    def _downloaded(self, name: str, url: str, sha256: str) -> Path:
        def build(directory: Path) -> None:
            with Task.running("download", name, self._store.sink):
                (directory / MODEL_FILE).write_bytes(fetch(url, sha256))

        # Whatever fetches it, it is the file of that hash.
        product = self._store.product("download", name, {"sha256": sha256}, ())
        return self._store.obtain(product, build).file(MODEL_FILE)

    def _adapted(self, name: str, path: Path, provenance: Mapping[str, str]) -> QuantisedModel:
        """A user's file, as the bench takes it."""
        graph = read_graph(path)
        if not needs_adapting(graph):
            return quantised_model(path, check_quantised(graph.data, path), "file", provenance)

        def build(directory: Path) -> None:
            adapted = adapt(graph, path)
            (directory / MODEL_FILE).write_bytes(adapted.data)
            (directory / _CHANGES).write_text(json.dumps(adapted.changes), encoding="utf-8")

        sha256 = hashlib.sha256(graph.data).hexdigest()
        versions = {"ai-edge-litert": installed_version("ai-edge-litert")}
        product = self._store.product(
            "adapted", name, {"model": sha256, "packages": versions}, ADAPTING_CODE
        )
        entry = self._store.obtain(product, build)
        kept = entry.file(MODEL_FILE)
        changes = json.loads(entry.file(_CHANGES).read_text(encoding="utf-8"))
        # An error names the user's file, not ours.
        file = check_quantised(kept.read_bytes(), path)
        return quantised_model(kept, file, "file", {**provenance, "file_sha256": sha256}, changes)

    def _trained(self, name: str, workload: TrainedWorkload, variant: str) -> QuantisedModel:
        entry = self._variant(name, workload, variant)
        result = BuildResult.model_validate_json(entry.file(BUILD_FILE).read_text("utf-8"))
        path = entry.file(MODEL_FILE)
        return quantised_model(
            path, load_quantised(path), "trained", _provenance(workload, variant, result)
        )

    def _variant(self, name: str, workload: TrainedWorkload, variant: str) -> Entry:
        """A trained variant in the cache. Its parent is needed only if it is not there."""
        spec = workload.variants[variant]
        product = self._variant_product(name, workload, variant)

        def build(directory: Path) -> None:
            parent = None if isinstance(spec, TrainSpec) else spec.parent
            request = BuildRequest(
                workload=name,
                variant=variant,
                origin=self._recipe(name, workload).origin,
                spec=spec,
                quantise=workload.quantise,
                seed=workload.seed,
                data=self._data_of(name, workload),
                parent_dir=None
                if parent is None
                else self._variant(name, workload, parent).path.resolve(),
            )
            with Task.running("train", product.name, self._store.sink) as task:
                self._builder.build(request, directory, lambda p: task.say(p.text))

        return self._store.obtain(product, build)

    def _variant_product(self, name: str, workload: TrainedWorkload, variant: str) -> Product:
        spec = workload.variants[variant]
        parent = (
            None
            if isinstance(spec, TrainSpec)
            else self._variant_product(name, workload, spec.parent).key.digest
        )
        recipe = self._recipe(name, workload)
        parameters: dict[str, JSON] = {
            "origin": recipe.origin.identity(),
            "spec": spec.model_dump(mode="json"),
            "quantise": workload.quantise.model_dump(mode="json"),
            "seed": workload.seed,
            "data": recipe.training_data,
            "parent": parent,
            "packages": dict[str, JSON](training_versions()),
        }
        return self._store.product("variant", f"{name}-{variant}", parameters, TRAINING_CODE)


def frozen_model(workload: TrainedWorkload, variant: str, frozen: FrozenModel) -> QuantisedModel:
    """A variant that is a file. Raises `ModelError` if it is not the model that was frozen."""
    file = load_quantised(frozen.model)
    if file.sha256 != frozen.sha256:
        raise ModelError(
            f"{frozen.model}: is not the frozen model: its sha256 is {file.sha256}, and "
            f"frozen.{variant}.sha256 is {frozen.sha256}",
            cure="restore the file from version control, or freeze the variant again: bench freeze",
        )
    known = {
        "architecture": workload.origin_name,
        "method": workload.variants[variant].method,
        **_settings(workload, variant),
        "seed": str(workload.seed),
        **_named("quantise", workload.quantise),
    }
    provenance = {"frozen": frozen.model.name, **(known if frozen.recipe else {})}
    return quantised_model(frozen.model, file, "frozen", provenance)


def _provenance(workload: TrainedWorkload, variant: str, result: BuildResult) -> dict[str, str]:
    """How a variant was made, for readers of a record."""
    facts = {
        "architecture": result.architecture,
        "method": result.training.method,
        **_settings(workload, variant),
        "seed": str(result.seed),
        "epochs": str(result.training.epochs),
        "steps": str(result.training.steps),
        "train_images": str(result.data.train_images),
        "data_sha256": result.data.sha256,
        **_known("float_accuracy", result.float_accuracy),
        "float_sha256": result.float_sha256,
        **_named("quantise", result.quantise),
    }
    return facts | {f"version.{name}": value for name, value in result.versions.items()}


def _known(name: str, share: float | None) -> dict[str, str]:
    return {} if share is None else {name: f"{share:.4f}"}


def _settings(workload: TrainedWorkload, variant: str) -> dict[str, str]:
    """The settings of a variant and of those it is made from: `pruned.final_sparsity` and so on."""
    spec = workload.variants[variant]
    before = {} if isinstance(spec, TrainSpec) else _settings(workload, spec.parent)
    return before | _named(variant, spec)


def _named(prefix: str, settings: StrictModel) -> dict[str, str]:
    values = settings.model_dump(mode="json")
    return {f"{prefix}.{name}": json.dumps(value).strip('"') for name, value in values.items()}
