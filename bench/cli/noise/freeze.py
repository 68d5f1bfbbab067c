"""`bench freeze`: trained variants kept as files, so that no training changes a figure any more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import CacheRoot, ConfigFile

__all__ = ["freeze"]


def freeze(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="A workload, or a variant such as mnist_fc-pruned, or a pattern with *. "
            "By default every trained variant of the grid.",
        ),
    ] = None,
    directory: Annotated[
        Path, typer.Option("--directory", help="Where the models go, beside the configuration.")
    ] = Path("frozen"),
    config: ConfigFile = Path("bench.toml"),
    cache: CacheRoot = None,
) -> None:
    """Keep the quantised models of trained variants as files, and pin them in the configuration.

    They are not trained any more: from then on a figure changes only with the compiler, the target
    or the bench. Commit the files. To train again, remove `[workloads.NAME.frozen]`.
    """
    from bench.assembly.freezing import Made, chosen_variants, is_frozen, keep_frozen, made_models
    from bench.cli.noise.progress import TerminalProgress, resumable
    from bench.cli.options import open_cache
    from bench.core.errors import ConfigError
    from bench.core.text import printable
    from bench.plan.config import load_config

    if directory.is_absolute() or ".." in directory.parts:
        raise ConfigError(
            f"--directory {directory}: is not beside the configuration, which names it",
            cure="name a directory relative to the configuration, such as frozen",
        )
    settings = load_config(config)
    choices = chosen_variants(settings, tuple(names or ()))
    open_ones = [choice for choice in choices if not is_frozen(settings, choice)]
    for choice in choices:
        if choice not in open_ones:
            print(printable(f"{choice.name}: is frozen already"))
    if not open_ones:
        return
    models: list[Made] = []

    def state() -> str:
        return (
            f"{len(models)} of {len(open_ones)} models are in the cache, nothing is frozen yet; "
            "the same command goes on from there"
        )

    with resumable(state):
        progress = TerminalProgress()
        for made in made_models(settings, config, open_ones, open_cache(cache), progress):
            models.append(made)
    paths = keep_frozen(config, directory, models)
    for made, path in zip(models, paths, strict=True):
        size = made.path.stat().st_size / 1024
        print(printable(f"{made.choice.name}: {path}, {size:,.0f} KiB, sha256 {made.sha256}"))
    print(printable(f"{config} names them under [workloads.*.frozen]; commit both"))
