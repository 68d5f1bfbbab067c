"""Trained variants on their way into files of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from bench.cache import ArtefactCache
from bench.core.errors import BenchError, ConfigError
from bench.core.files import write_atomically
from bench.core.fingerprint import read_source_tree
from bench.core.schema import suggest
from bench.measuring.frozen import check_frozen
from bench.measuring.products import ProductStore
from bench.measuring.progress import Sink
from bench.measuring.recipes import survey_recipe
from bench.measuring.sources import ModelSource
from bench.plan.config import BenchConfig, FrozenModel, TrainedWorkload
from bench.plan.config.document import read_text
from bench.plan.config.editing import replace_config, with_frozen
from models.data import resolve_mnist
from models.service import VariantBuilder

__all__ = ["Choice", "Made", "chosen_variants", "is_frozen", "keep_frozen", "made_models"]


@dataclass(frozen=True)
class Choice:
    """A variant to freeze."""

    workload: str
    variant: str

    @property
    def name(self) -> str:
        """As cells and files have it: `mnist_fc-pruned`."""
        return f"{self.workload}-{self.variant}"


def chosen_variants(config: BenchConfig, names: tuple[str, ...]) -> tuple[Choice, ...]:
    """The variants that `names` choose: `mnist_fc`, `mnist_fc-pruned`, or patterns of them.

    No name chooses every trained variant of the grid. Raises `ConfigError` for one that chooses
    nothing.
    """
    planned = config.grid.workloads or tuple(config.workloads)
    known = [
        Choice(name, variant)
        for name, workload in config.workloads.items()
        if isinstance(workload, TrainedWorkload)
        for variant in workload.variants
    ]
    if not names:
        within = config.grid.variants
        grid = [c for c in known if c.workload in planned and (not within or c.variant in within)]
        if not grid:
            raise ConfigError("the grid has no trained variant, so there is nothing to freeze")
        return tuple(grid)
    chosen: dict[Choice, None] = {}
    for name in names:
        matching = [c for c in known if fnmatchcase(c.workload, name) or fnmatchcase(c.name, name)]
        if not matching:
            if name in config.workloads:
                raise ConfigError(
                    f"{name!r} is a model file, and no training changes it: there is nothing to "
                    "freeze",
                    cure="keep the file itself under version control",
                )
            raise ConfigError(
                f"no trained variant is called {name!r}",
                cure=suggest(name, [*{c.workload: None for c in known}, *(c.name for c in known)]),
            )
        chosen.update(dict.fromkeys(matching))
    return tuple(chosen)


@dataclass(frozen=True)
class Made:
    """The quantised model of a variant, ready to be kept as a file."""

    choice: Choice
    #: In the cache.
    path: Path
    sha256: str
    #: Of the settings that it was made from.
    recipe: str

    def frozen(self, directory: Path) -> FrozenModel:
        """What the configuration says of it, when its file is in `directory`."""
        path = directory / f"{self.choice.name}.tflite"
        return FrozenModel(model=path, sha256=self.sha256, recipe=self.recipe)


def made_models(
    config: BenchConfig,
    config_path: Path,
    choices: Sequence[Choice],
    cache: ArtefactCache,
    sink: Sink,
) -> Iterator[Made]:
    """The model of each choice, trained as a run would, or from the cache.

    Raises `BenchError` if one cannot be made.
    """
    with VariantBuilder(bounds=config.training.bounds) as builder:
        store = ProductStore(cache, read_source_tree(), sink)
        recipes = {
            name: survey_recipe(name, workload, config_path, builder, store)
            for name in dict.fromkeys(choice.workload for choice in choices)
            if isinstance(workload := config.workloads[name], TrainedWorkload) and workload.is_users
        }
        data = resolve_mnist(config.data.mnist)
        source = ModelSource(store=store, builder=builder, data=data, recipes=recipes)
        for choice in choices:
            workload = _trained(config, choice)
            thawed = workload.model_copy(update={"frozen": {}})
            made = source.quantised(choice.workload, thawed, choice.variant)
            recipe = workload.recipe_sha256(choice.variant)
            yield Made(choice, made.path, made.file.sha256, recipe)


def keep_frozen(config_path: Path, directory: Path, models: Sequence[Made]) -> tuple[Path, ...]:
    """Write each model into `directory`, beside the configuration, which then names them.

    Returns the files. Raises `ConfigError`, with nothing written, if the configuration cannot name
    them.
    """
    text = read_text(config_path)
    workloads = dict.fromkeys(made.choice.workload for made in models)
    for name in workloads:
        frozen = {
            made.choice.variant: made.frozen(directory)
            for made in models
            if made.choice.workload == name
        }
        text = with_frozen(text, name, frozen, config_path)
    place = config_path.resolve().parent / directory
    place.mkdir(parents=True, exist_ok=True)
    paths = []
    for made in models:
        path = config_path.resolve().parent / made.frozen(directory).model
        write_atomically(path, made.path.read_bytes())
        paths.append(path)
    # Last: whoever ends the program before finds the old configuration. If it had frozen one of the
    # files, the next run says that this is not the same any more.
    replace_config(config_path, text)
    return tuple(paths)


def is_frozen(config: BenchConfig, choice: Choice) -> bool:
    """Whether a variant is frozen, as it is made today, and its file is intact."""
    workload = _trained(config, choice)
    if choice.variant not in workload.frozen:
        return False
    try:
        check_frozen(workload, choice.variant, choice.workload, choice.workload)
    except BenchError:
        return False
    return True


def _trained(config: BenchConfig, choice: Choice) -> TrainedWorkload:
    workload = config.workloads[choice.workload]
    assert isinstance(workload, TrainedWorkload)
    return workload
