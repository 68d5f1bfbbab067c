"""`bench plan`: what a run would do, for people and as a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import CacheRoot, ConfigFile

if TYPE_CHECKING:
    from bench.plan.document import PlanDocument

__all__ = ["plan"]


def plan(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the plan as JSON.")
    ] = None,
    shards: Annotated[
        int, typer.Option(min=1, max=1000, help="Show what each of so many shards would do.")
    ] = 1,
    config: ConfigFile = Path("bench.toml"),
    target: Annotated[
        list[str] | None, typer.Option(help="Instead of the configured targets; may be repeated.")
    ] = None,
    vela: Annotated[
        list[str] | None, typer.Option(help="Instead of the configured Velas; may be repeated.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="Where the runs are whose times count; default: beside the config."),
    ] = None,
    cache: CacheRoot = None,
) -> None:
    """Show what a run would do: what must be made, what is cached, and how long it should take.

    Nothing is built, trained or measured. With -o the plan is also written as JSON, from which
    `bench run --shard 2/5 --plan FILE` takes its expected times; `bench schema plan` prints its
    JSON Schema.
    """
    from bench.assembly.planning import make_document
    from bench.cache import default_root
    from bench.core.files import write_atomically
    from bench.core.text import one_line
    from bench.report.plan import plan_lines

    document: PlanDocument = make_document(
        config_path=config,
        targets=tuple(target or ()),
        velas=tuple(vela or ()),
        results=results,
        cache_root=cache or default_root(os.environ),
        environment=os.environ,
    )
    for line in plan_lines(document, shards):
        print(one_line(line))
    if output is not None:
        write_atomically(output, document.model_dump_json(indent=1) + "\n")
        print(one_line(f"plan {output}"))
