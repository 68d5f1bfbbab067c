"""`bench zoo`: public models to measure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["commands"]

commands = typer.Typer(help="Public models to measure.", no_args_is_help=True)


@commands.command("list")
def list_models() -> None:
    """List the public models that the project knows, with address, licence and sha256."""
    from models.zoo import zoo_models

    for model in zoo_models():
        print(f"{model.name}\n  {model.url}\n  sha256 {model.sha256}\n  {model.licence}")


@commands.command("fetch")
def fetch_models(
    directory: Annotated[Path, typer.Argument(help="Where the models go.")] = Path("zoo"),
    names: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME", help="Only this one; may be repeated."),
    ] = None,
) -> None:
    """Download the public models, each checked against its sha256."""
    from bench.core.download import fetch
    from bench.core.errors import ConfigError
    from bench.core.files import write_atomically
    from bench.core.schema import suggest
    from bench.core.units import KIB
    from models.zoo import zoo_models

    models = {model.name: model for model in zoo_models()}
    for name in names or ():
        if name not in models:
            raise ConfigError(f"unknown model {name!r}; {suggest(name, list(models))}")
    directory.mkdir(parents=True, exist_ok=True)
    for name in names or models:
        path = directory / f"{name}.tflite"
        if models[name].matches(path):
            print(f"{path}: already there")
            continue
        print(f"{path}: from {models[name].url}", flush=True)
        write_atomically(path, fetch(models[name].url, models[name].sha256))
        print(f"{path}: {path.stat().st_size / KIB:,.0f} KiB")
