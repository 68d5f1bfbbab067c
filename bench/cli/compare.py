"""`bench compare A B`: what became better, what worse, and by what."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import CacheRoot, ConfigFile

if TYPE_CHECKING:
    from bench.history.comparison import Comparison, Floors
    from bench.history.side import Side

__all__ = ["Format", "compare"]

_SIDE = (
    "A run (its directory, or its name below results/; RUN@5.0.0 for one version of Vela), or "
    "accepted figures (a file or directory of baselines, or git:REVISION)."
)


class Format(str, Enum):
    """How a comparison is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=_SIDE)],
    b: Annotated[str, typer.Argument(metavar="B", help="What is compared with A; the same.")],
    cells: Annotated[
        list[str] | None,
        typer.Option("--cell", metavar="PATTERN", help="Only these cells; may be repeated."),
    ] = None,
    relative: Annotated[
        float, typer.Option(min=0.0, help="Ignore differences up to this share of A's figure.")
    ] = 0.0,
    absolute: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=N",
            help="Ignore differences of a metric up to N, in its unit; may be repeated.",
        ),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.TEXT,
    config: ConfigFile = Path("bench.toml"),
    cache: CacheRoot = None,
) -> None:
    """Compare two runs or accepted figures, cell by cell and layer by layer, with the first cause.

    The exit status is 1 if a figure is worse in B or missing there.
    """
    from bench.history.compare import compare as compared

    sides = _selected(a, config, cells), _selected(b, config, cells)
    comparison = compared(*sides, _floors(relative, absolute or []))
    comparison = _with_layers(comparison, *sides, cache)
    print(_printed(comparison, form), end="")
    if not comparison.passed:
        raise typer.Exit(1)


def _selected(named: str, config: Path, patterns: list[str] | None) -> Side:
    from dataclasses import replace
    from fnmatch import fnmatchcase

    from bench.cli.sides import read_side
    from bench.core.errors import ConfigError

    side = read_side(named, config)
    if patterns is None:
        return side
    kept = {
        id_: cell
        for id_, cell in side.cells.items()
        if any(fnmatchcase(id_, pattern) for pattern in patterns)
    }
    if not kept:
        raise ConfigError(
            f"{named} has no cell like {' or '.join(patterns)}",
            cure="give a cell's id, or a pattern such as 'kws-*'",
        )
    return replace(side, cells=kept)


def _floors(relative: float, absolute: list[str]) -> Floors:
    import math

    from bench.core.errors import ConfigError
    from bench.core.schema import suggest
    from bench.history.comparison import Floors
    from bench.plan.metrics import MetricName

    known = [metric.value for metric in MetricName]
    floors: dict[MetricName, float] = {}
    for text in absolute:
        name, _, number = text.partition("=")
        if name not in known:
            raise ConfigError(
                f"--absolute {text}: unknown metric {name!r}", cure=suggest(name, known)
            )
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not 0 <= value < math.inf:
            raise ConfigError(
                f"--absolute {text}: {number!r} is no number from 0 on",
                cure="write it as in --absolute npu_cycles=100",
            )
        floors[MetricName(name)] = value
    if not relative < math.inf:
        raise ConfigError("--relative: must be a finite number", cure="for 1 %: --relative 0.01")
    return Floors(relative=relative, absolute=floors)


def _with_layers(comparison: Comparison, a: Side, b: Side, root: Path | None) -> Comparison:
    """`comparison` with the first layer that gives something else, where outputs differ."""
    from bench.cli.options import open_cache
    from bench.history.comparison import OutputOutcome
    from bench.history.first_difference import with_first_differences
    from bench.history.kept_models import kept_pair
    from bench.records.record import Record

    if all(cell.outputs.outcome is not OutputOutcome.DIFFERENT for cell in comparison.cells):
        return comparison
    cache = open_cache(root)

    def records(cell_id: str) -> tuple[Record, Record] | None:
        before, after = a.records.get(cell_id), b.records.get(cell_id)
        return None if before is None or after is None else (before, after)

    return with_first_differences(comparison, records, lambda x, y: kept_pair(cache, x, y))


def _printed(comparison: Comparison, form: Format) -> str:
    if form is Format.JSON:
        return comparison.model_dump_json(indent=2) + "\n"
    if form is Format.MARKDOWN:
        from bench.report.comparison.markdown import comparison_markdown

        return comparison_markdown(comparison)
    from bench.report.comparison.text import comparison_text

    return comparison_text(comparison)
