"""`bench doctor`: checks what a run needs before it starts."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.options import DEFAULT_CONFIG, ConfigFile

__all__ = ["doctor"]


def doctor(
    target: Annotated[
        list[str] | None, typer.Option(help="Check this target; default: the configured ones.")
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    boot: Annotated[
        bool, typer.Option("--boot", help="Also boot a board, to read its NPU. Takes minutes.")
    ] = False,
) -> None:
    """Check what a run on each target needs.

    If something is missing, it says what to do; the exit status is then 1.
    """
    from bench.cli.examination import BENCH, examine, lines_of
    from bench.core.errors import ConfigError
    from bench.core.schema import suggest
    from bench.plan.config import BenchConfig, load_config
    from targets.checkup import State
    from targets.registry import TARGETS

    if config == DEFAULT_CONFIG and not config.exists():
        print(f"there is no {config} here (`bench init` writes one), so defaults are checked")
        settings = BenchConfig(workloads={})
    else:
        settings = load_config(config)
    for name in target or ():
        if name not in TARGETS:
            raise ConfigError(f"unknown target {name!r}; {suggest(name, list(TARGETS))}")
    chosen = tuple(target or settings.grid.targets)
    heading, bad = "", 0
    for place, finding in examine(chosen, settings, boot=boot):
        if place != heading:
            heading = place
            print(place if place == BENCH else f"target {place}")
        print("\n".join(lines_of(finding)), flush=True)
        bad += finding.state is State.MISSING
    if bad:
        print(f"{bad} missing")
        raise typer.Exit(1)
    print("nothing is missing")
