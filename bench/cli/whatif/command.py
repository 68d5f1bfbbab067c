"""`bench whatif MODEL`: what pruning and clustering would gain, without training."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import CacheRoot, ConfigFile
from bench.cli.whatif.lists import asked_macs, asked_modes, asked_points

if TYPE_CHECKING:
    from bench.measuring.progress import ProgressEvent
    from bench.plan.cell import Cell
    from bench.plan.config import BenchConfig
    from bench.whatif.answer import WhatIfAnswer

__all__ = ["whatif"]

#: Cells between two lines of progress.
_TOLD = 8


class Values(str, Enum):
    """How the values that weights share are chosen."""

    LINEAR = "linear"
    KMEANS = "kmeans"


class Format(str, Enum):
    """How the answer is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


def whatif(  # noqa: PLR0913 - an argument for each option of the command line
    model: Annotated[
        Path | None, typer.Argument(metavar="[MODEL]", help="A quantised .tflite.")
    ] = None,
    sparsity: Annotated[
        str, typer.Option(metavar="LIST", help="Shares of zeros to try, in per cent.")
    ] = "50,70,80,90",
    clusters: Annotated[
        str, typer.Option(metavar="LIST", help="Numbers of different weights to try.")
    ] = "64,32,16",
    combine: Annotated[
        bool, typer.Option("--combine", help="Try each sparsity with each number of values too.")
    ] = False,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            "--layer", metavar="NAME", help="Compress this layer; a pattern with *; repeatable."
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option("--all-layers", help="Also depthwise layers and the first convolution."),
    ] = False,
    per_channel: Annotated[
        bool, typer.Option("--per-channel", help="Each output channel has values of its own.")
    ] = False,
    values: Annotated[
        Values,
        typer.Option(
            "--values", help="Evenly spaced as in training, or those that change weights least."
        ),
    ] = Values.LINEAR,
    macs: Annotated[
        str, typer.Option(metavar="LIST", help="MAC counts of the NPU.")
    ] = "32,64,128,256",
    modes: Annotated[
        list[str] | None,
        typer.Option("--memory-mode", help="Default Shared_Sram; may be repeated."),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="An .npz with `inputs` and `labels`, for the accuracy."),
    ] = None,
    metric: Annotated[
        str, typer.Option(metavar="NAME", help="What the accuracy is, with --dataset.")
    ] = "top1",
    workload: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Instead of MODEL: this workload's model and data."),
    ] = None,
    config: ConfigFile = Path("bench.toml"),
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.TEXT,
    cache: CacheRoot = None,
) -> None:
    """Show what pruning and clustering would gain, without training.

    The weights of a quantised model are pruned and clustered as they are, compiled and measured on
    the simulator: sizes, cycles, what binds, and from which point on more compression gains
    nothing. What is done is kept in the cache: after Ctrl-C the same command goes on from there.
    """
    import os

    from bench.assembly.whatif import Question, ask
    from bench.cache import default_root
    from bench.cli.noise.progress import TerminalProgress, resumable, tell
    from bench.core.errors import ConfigError
    from bench.tflite.compression.layers import LayerChoice
    from bench.tflite.compression.points import Clustering, Spacing

    if layers and every:
        raise ConfigError("--layer and --all-layers: give one of them")
    settings, origin, name = _workload(model, dataset, metric, workload, config)
    question = Question(
        config=settings,
        config_path=origin,
        workload=name,
        points=asked_points(sparsity, clusters, combine=combine),
        layers=LayerChoice(tuple(layers or ()), every),
        clustering=Clustering(Spacing(values.value), per_channel),
        macs=asked_macs(macs),
        memory_modes=asked_modes(modes),
    )
    progress = TerminalProgress()
    whole = len(question.points) * len(question.places)
    done: list[str] = []

    def sink(event: ProgressEvent) -> None:
        # There are many measurements, and none takes long; `heard` counts them.
        if event.kind != "measure" or event.state == "failed":
            progress(event)

    def heard(cell: Cell) -> None:
        done.append(cell.id)
        if len(done) % _TOLD == 0 or len(done) == whole:
            tell(f"{len(done)} of {whole}: {cell.id}")

    def state() -> str:
        return f"{len(done)} of {whole} cells are in the cache; the same command goes on from there"

    with resumable(state):
        answer = ask(question, cache or default_root(os.environ), sink, heard)
    print(_printed(answer, form), end="")


def _workload(
    model: Path | None, dataset: Path | None, metric: str, name: str | None, config: Path
) -> tuple[BenchConfig, Path, str]:
    """The configuration, where it is from, and the name of the workload in question."""
    from bench.assembly.whatif import file_config, with_workload
    from bench.core.errors import ConfigError
    from bench.plan.config import load_config

    if (model is None) == (name is None):
        raise ConfigError(
            "bench whatif needs a MODEL, or --workload NAME: one of them",
            cure="give the path of a quantised .tflite",
        )
    if model is not None:
        settings, own = file_config(model, dataset, metric)
        return settings, Path("bench whatif"), own
    if dataset is not None:
        raise ConfigError(
            "--dataset: a workload has its own data", cure=f"state it in {config}, or name a MODEL"
        )
    assert name is not None
    return with_workload(load_config(config), config, name), config, name


def _printed(answer: WhatIfAnswer, form: Format) -> str:
    if form is Format.JSON:
        return answer.model_dump_json(indent=2) + "\n"
    from bench.report.whatif import whatif_markdown, whatif_text

    return whatif_markdown(answer) if form is Format.MARKDOWN else whatif_text(answer)
