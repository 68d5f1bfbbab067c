"""`bench report RUN`: the reports of a finished run, made again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli.default_verb import ShowsByDefault
from bench.cli.options import LATEST, CacheRoot

__all__ = ["commands"]


class _Report(ShowsByDefault):
    """`bench report` alone shows the last run."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the default verb where there is nothing at all."""
        return super().parse_args(ctx, args or [self.default_verb])


commands = typer.Typer(
    cls=_Report,
    help="Make the reports of a finished run again (`bench report RUN`): tables, JUnit, HTML.",
)


@commands.command()
def show(
    run: Annotated[Path, typer.Argument(help="The run's directory.")] = LATEST,
    width: Annotated[
        int, typer.Option(min=0, help="Columns of the tables; 0: those of the terminal.")
    ] = 0,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the page of the run, which opens offline."),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The history of the page; default: that beside the run."),
    ] = None,
    cache: CacheRoot = None,
) -> None:
    """Print the tables of a finished run and write its JUnit file again.

    With --html and its like only that is made. The exit status is 1 when a file of the run cannot
    be read; the rest is reported.
    """
    from bench.records.run_directory import RunDirectory
    from bench.report.run_view import read_run, write_junit

    directory = RunDirectory(run)
    view = read_run(directory)
    if html is not None:
        _write_html(directory, view, html, history, cache)
    else:
        _print_tables(view, width)
        write_junit(directory, view)
    if view.unreadable:
        raise typer.Exit(1)


def _print_tables(view: Any, width: int) -> None:
    import shutil

    from bench.report.table import render, unmeasured_table, unreadable_table, workload_tables

    columns = width or shutil.get_terminal_size((170, 24)).columns
    tables = workload_tables(view.studies, columns)
    tables += unmeasured_table(view.unmeasured) + unreadable_table(view.unreadable)
    print(render(tables, columns), end="")


def _write_html(run: Any, view: Any, path: Path, history: Path | None, cache: Path | None) -> None:
    from bench.cli.options import open_cache
    from bench.core.text import one_line
    from bench.history.store import HISTORY_FILE, HistoryStore
    from bench.report.html.writing import write_page

    store = HistoryStore(history or run.path.resolve().parent / HISTORY_FILE)
    write_page(run, view, store, open_cache(cache), path)
    print(one_line(f"page {path}"))
