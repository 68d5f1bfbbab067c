"""Users' recipes: pinned and looked at when a run begins, and their data in the cache.

A recipe is foreign code, and its data may come from anywhere. So a run begins by asking it what its
network and its data are. The answers decide what everything made from them is called in the cache.
What is made later is compared with them: a recipe that has changed, or gives other data each time,
is an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from bench.cache import JSON
from bench.core.errors import BuildError, ConfigError
from bench.core.files import reason
from bench.core.own_names import short_name
from bench.core.schema import StrictModel
from bench.measuring.inputs import sha256_of
from bench.measuring.products import ProductStore
from bench.measuring.progress import Task
from bench.measuring.recipes.checks import check_recipe
from bench.plan.config import TrainedWorkload
from models.data import DataSource
from models.extra import training_versions
from models.messages import StoredData
from models.reading.facts import DataFacts, ModelFacts
from models.reading.origin import Origin, SourceFile
from models.reading.sources import recipe_sources
from models.recipes import data_name, recipe_module
from models.service import VariantBuilder

__all__ = [
    "DATA_CODE",
    "TRAINING_CODE",
    "SurveyedRecipe",
    "built_in",
    "stored_data",
    "survey_recipe",
]

#: The builder's client, which sets up its process, and what runs in that process.
TRAINING_CODE = ("models.service", "models.worker")
#: What stores the data of built-in recipes.
DATA_CODE = ("models.reading.datasets", "models.recipes")

_FACTS = "facts.json"


class SurveyedRecipe(StrictModel):
    """A recipe as it is in this run."""

    origin: Origin
    #: None for a built-in recipe with data, of which nothing needs to be found out.
    network: ModelFacts | None = None
    data: DataFacts | None = None
    #: What the data of such a recipe is called. It stands for the data, whose file is pinned.
    data_name: str = ""

    @property
    def training_data(self) -> str:
        """What tells the data that models are made from, for cache keys."""
        return self.data_name if self.data is None else self.data.training_sha256


def built_in(workload: TrainedWorkload, mnist: DataSource) -> SurveyedRecipe:
    """A workload with a built-in recipe that has data; `mnist` is for those of MNIST."""
    given = {"mnist": mnist.name} if workload.is_of_mnist else {}
    options = {**given, **workload.options}
    return SurveyedRecipe(
        origin=Origin(name=workload.recipe, options=options),
        data_name=data_name(workload.recipe, str(options.get("mnist", ""))),
    )


def survey_recipe(
    name: str,
    workload: TrainedWorkload,
    config_path: Path,
    builder: VariantBuilder,
    store: ProductStore,
) -> SurveyedRecipe:
    """What the recipe of `workload` is now. Its model is looked at once, its data in each run.

    Raises `BenchError`, which names the key, if the recipe fails or its parts do not fit together.
    """
    key = f"{config_path}: workloads.{name}.{'recipe' if workload.recipe else 'keras'}"
    origin = _pinned(workload, config_path.resolve().parent, key)
    try:
        network = _network(name, origin, builder, store)
        with Task.running("read", f"data of {name}", store.sink) as task:
            data = builder.data(origin, network.inputs, None, lambda p: task.say(p.text))
        check_recipe(workload, network, data)
    except BuildError as error:
        raise ConfigError(f"{key}: {error.what}", cure=error.cure) from error
    return SurveyedRecipe(origin=origin, network=network, data=data)


def stored_data(
    name: str, surveyed: SurveyedRecipe, builder: VariantBuilder, store: ProductStore
) -> StoredData:
    """The splits of a recipe's data, in the cache.

    Raises `BuildError` if `data()` gives other data now than when the run began.
    """
    origin, expected = surveyed.origin, surveyed.data
    inputs = () if surveyed.network is None else surveyed.network.inputs
    parameters: dict[str, JSON]
    code: tuple[str, ...]
    if expected is None:
        module = recipe_module(origin.name)
        assert module is not None
        label, code = surveyed.data_name, DATA_CODE
        parameters = {"data": label, "made_by": short_name(module.data.__module__)}
    else:
        # A built-in recipe is a network alone: the data is the user's archive.
        archive = origin.data if origin.is_built_in else None
        label, code = origin.name if archive is None else archive.path.name, ()
        parameters = {"splits": {k: split.sha256 for k, split in expected.splits.items()}}
    product = store.product("splits", label, parameters, code)

    def build(directory: Path) -> None:
        with Task.running("read", f"data of {name}", store.sink) as task:
            found = builder.data(origin, inputs, directory, lambda p: task.say(p.text))
        if expected is not None and found != expected:
            raise BuildError(
                f"{origin.name}: data() gave other data than when the run began",
                cure="let it give the same data each time: seed what is random, and leave its "
                "files alone while the bench runs",
            )
        (directory / _FACTS).write_text(found.model_dump_json(), encoding="utf-8")

    entry = store.obtain(product, build)
    facts = DataFacts.model_validate_json(entry.file(_FACTS).read_text(encoding="utf-8"))
    return StoredData.within(label, entry.path.resolve(), facts)


def _network(name: str, origin: Origin, builder: VariantBuilder, store: ProductStore) -> ModelFacts:
    parameters: dict[str, JSON] = {
        "origin": origin.identity(),
        "packages": dict[str, JSON](training_versions()),
    }
    product = store.product("network", name, parameters, TRAINING_CODE)

    def build(directory: Path) -> None:
        with Task.running("read", f"network of {name}", store.sink) as task:
            found = builder.survey(origin, lambda p: task.say(p.text))
        (directory / _FACTS).write_text(found.model_dump_json(), encoding="utf-8")

    entry = store.obtain(product, build)
    return ModelFacts.model_validate_json(entry.file(_FACTS).read_text(encoding="utf-8"))


def _pinned(workload: TrainedWorkload, directory: Path, key: str) -> Origin:
    """The files of the recipe of `workload`, with their hashes. Raises `ConfigError`."""
    sources: Mapping[str, SourceFile] = {}
    if workload.is_file:
        recipe = Path(workload.recipe)
        try:
            sources = recipe_sources(recipe, (directory, recipe.resolve().parent))
        except ConfigError as error:
            raise ConfigError(f"{key}: {error.what}", cure=error.cure) from error
    return Origin(
        name=workload.origin_name,
        sources=dict(sources),
        directory=directory,
        keras=None if workload.keras is None else _file(workload.keras),
        data=None if workload.data is None else _file(workload.data),
        options=workload.options,
    )


def _file(path: Path) -> SourceFile:
    if not path.is_dir():
        return SourceFile(path=path, sha256=sha256_of(path))
    digest = hashlib.sha256()
    try:
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(f"{file.relative_to(path)} {sha256_of(file)}\n".encode())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {reason(error)}") from error
    return SourceFile(path=path, sha256=digest.hexdigest(), is_package=True)
