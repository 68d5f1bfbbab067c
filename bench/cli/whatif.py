"""`bench whatif MODEL`: what pruning and clustering would gain, without training."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import CacheRoot, ConfigFile

if TYPE_CHECKING:
    from bench.measuring.progress import ProgressEvent
    from bench.plan.cell import Cell
    from bench.plan.config import BenchConfig
    from bench.whatif.answer import WhatIfAnswer
    from bench.whatif.points import Point
    from targets.ethos_u55.accelerators import Accelerator
    from targets.ethos_u55.memory_modes import MemoryMode

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
    from bench.whatif.layers import LayerChoice
    from bench.whatif.points import Clustering, Spacing

    if layers and every:
        raise ConfigError("--layer and --all-layers: give one of them")
    settings, origin, name = _workload(model, dataset, metric, workload, config)
    question = Question(
        config=settings,
        config_path=origin,
        workload=name,
        points=_points(sparsity, clusters, combine=combine),
        layers=LayerChoice(tuple(layers or ()), every),
        clustering=Clustering(Spacing(values.value), per_channel),
        macs=_accelerators(macs),
        memory_modes=_memory_modes(modes),
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


def _points(sparsity: str, clusters: str, *, combine: bool) -> tuple[Point, ...]:
    from bench.core.errors import ConfigError
    from bench.whatif.points import points_of

    shares = _numbers("--sparsity", sparsity)
    counts = _numbers("--clusters", clusters)
    for share in shares:
        if not 0 < share < 100:
            raise ConfigError(
                f"--sparsity {share:g}: is no share of zeros between 0 and 100 per cent"
            )
    for count in counts:
        if count != int(count) or not 2 <= count <= 256:
            raise ConfigError(
                f"--clusters {count:g}: is no number of different weights from 2 to 256"
            )
    if not shares and not counts:
        raise ConfigError("--sparsity and --clusters are empty, so there is nothing to try")
    return points_of(
        [share / 100 for share in shares], [int(count) for count in counts], combined=combine
    )


def _numbers(option: str, text: str) -> list[float]:
    """The numbers in `text`, which commas separate; none if it is empty."""
    from bench.core.errors import ConfigError

    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ConfigError(
            f"{option} {text}: is no list of numbers", cure="write it as in 50,80"
        ) from error


def _accelerators(text: str) -> tuple[Accelerator, ...]:
    from bench.core.errors import ConfigError
    from targets.ethos_u55.accelerators import Accelerator

    known = [int(each) for each in Accelerator]
    found = dict.fromkeys(_numbers("--macs", text))
    if not found or any(number not in known for number in found):
        raise ConfigError(
            f"--macs {text}: an Ethos-U55 has {', '.join(map(str, known))} MACs",
            cure="write it as in 64,128",
        )
    return tuple(sorted(Accelerator(int(number)) for number in found))


def _memory_modes(names: list[str] | None) -> tuple[MemoryMode, ...]:
    from bench.core.errors import ConfigError
    from bench.core.schema import suggest
    from targets.ethos_u55.memory_modes import MemoryMode

    known = [mode.value for mode in MemoryMode]
    for name in names or ():
        if name not in known:
            raise ConfigError(f"--memory-mode {name}: unknown; {suggest(name, known)}")
    return tuple(dict.fromkeys(map(MemoryMode, names or [MemoryMode.SHARED_SRAM])))


def _printed(answer: WhatIfAnswer, form: Format) -> str:
    if form is Format.JSON:
        return answer.model_dump_json(indent=2) + "\n"
    from bench.report.whatif import whatif_markdown, whatif_text

    return whatif_markdown(answer) if form is Format.MARKDOWN else whatif_text(answer)
