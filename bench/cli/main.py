"""The command line: its verbs, its common options, and the handling of errors."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from bench.cli import (
    baseline,
    bisect,
    cache,
    cells,
    cluster,
    compare,
    doctor,
    history,
    plan,
    report,
    run,
    schema,
    version,
    zoo,
)
from bench.cli.cell import disasm, layers, trace
from bench.cli.init.command import init
from bench.cli.noise import calibrate, freeze
from bench.cli.whatif.command import whatif
from bench.core.errors import BenchError
from bench.core.logging import log_to_terminal
from bench.core.text import printable

__all__ = ["app", "commands"]

#: The verbs; what `app` runs. Its help is plain text: rich would be most of its time.
commands = typer.Typer(
    name="bench",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
commands.command()(init)
commands.command(context_settings=run.PASSED_ON)(run.run)
commands.command()(plan.plan)
commands.command()(layers.layers)
commands.command()(trace.trace)
commands.command()(compare.compare)
commands.command()(bisect.bisect)
commands.command()(version.version)
commands.command()(cells.cells)
commands.command()(schema.schema)
commands.command()(doctor.doctor)
commands.command()(disasm.disasm)
commands.command()(whatif)
commands.command()(calibrate.calibrate)
commands.command()(freeze.freeze)
commands.add_typer(baseline.commands, name="baseline")
commands.add_typer(cache.commands, name="cache")
commands.add_typer(cluster.commands, name="cluster")
commands.add_typer(history.commands, name="history")
commands.add_typer(report.commands, name="report")
commands.add_typer(zoo.commands, name="zoo")


@commands.callback()
def common(
    context: typer.Context,
    verbose: Annotated[
        bool,
        typer.Option(
            "-v", "--verbose", help="Also report waits, fallbacks and other things worth knowing."
        ),
    ] = False,
) -> None:
    """Ethos-U55 regression bench. The measurements themselves are made by `bench run`."""
    context.with_resource(log_to_terminal(verbose=verbose))


def app() -> None:
    """Run the command line; an error becomes one message on stderr and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        # Characters outside the terminal's encoding are escaped instead of raising a traceback.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        commands()
    except (BenchError, OSError) as error:
        # An OSError itself says which file, and what is wrong with it.
        print(f"bench: {printable(str(error))}", file=sys.stderr)
        sys.exit(2)
