"""`bench report RUN`: the reports of a finished run, made again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli.default_verb import ShowsByDefault
from bench.cli.options import LATEST

__all__ = ["commands"]


class _Report(ShowsByDefault):
    """`bench report` alone shows the last run."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the default verb where there is nothing at all."""
        return super().parse_args(ctx, args or [self.default_verb])


commands = typer.Typer(
    cls=_Report,
    help="Make the reports of a finished run: tables, JUnit, a page (--html FILE), a pull "
    "request's summary (--github-summary, --markdown FILE), or an export (--export FORMAT=FILE). "
    "`bench report RUN` is short for `bench report show RUN`; `bench report show --help` has all "
    "options.",
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
        typer.Option(
            metavar="FILE",
            help="The history for the page and the summary; default: that beside the run.",
        ),
    ] = None,
    export: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMAT=FILE",
            help="Write the run as json, csv, parquet, openmetrics, bencher or github-benchmark, "
            "or into a directory as allure or model-explorer; may be repeated.",
        ),
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the body of a comment on a pull request."),
    ] = None,
    github_summary: Annotated[
        bool,
        typer.Option(
            "--github-summary",
            help="Write the summary of a step of GitHub Actions, and mark the limits that broke.",
        ),
    ] = False,
) -> None:
    """Print the tables of a finished run and write its JUnit file again.

    With --html and its like only those are made. The exit status is 1 when a file of the run cannot
    be read; the rest is reported.
    """
    from bench.core.files import write_atomically
    from bench.records.run_directory import RunDirectory
    from bench.report.exports.writing import parsed_export, write_export
    from bench.report.run_view import read_run, write_junit

    exports = [parsed_export(text) for text in export or ()]
    directory = RunDirectory(run)
    view = read_run(directory)
    if html is not None:
        _write_html(directory, view, html, _store(directory, history))
    for name, path in exports:
        write_export(view, name, path)
    asked = markdown is not None or github_summary
    summary = _summary(directory, view, run, history) if asked else ""
    if markdown is not None:
        write_atomically(markdown, summary)
    if github_summary:
        _github(view, summary)
    if not (html or exports or markdown or github_summary):
        _print_tables(view, width)
        write_junit(directory, view)
    if view.unreadable:
        raise typer.Exit(1)


def _print_tables(view: Any, width: int) -> None:
    import shutil

    from bench.report.table import missing_tables, render, workload_tables

    columns = width or shutil.get_terminal_size((170, 24)).columns
    print(render(workload_tables(view.studies, columns) + missing_tables(view), columns), end="")


def _store(run: Any, history: Path | None) -> Any:
    from bench.history.store import HISTORY_FILE, HistoryStore

    return HistoryStore(history or run.path.resolve().parent / HISTORY_FILE)


def _write_html(run: Any, view: Any, path: Path, store: Any) -> None:
    from bench.core.text import one_line
    from bench.report.html.writing import write_page

    write_page(run, view, store, path)
    print(one_line(f"page {path}"))


def _summary(directory: Any, view: Any, run: Path, history: Path | None) -> str:
    from bench.report.pull_request import pull_request_markdown
    from bench.report.run_history import history_of

    since = history_of(view, _store(directory, history)).since
    return pull_request_markdown(view, str(run), since)


def _github(view: Any, summary: str) -> None:
    """The summary goes where GitHub says, or on the terminal; annotations always on the latter."""
    import os

    from bench.report.pull_request import github_annotations

    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if place:
        with Path(place).open("a", encoding="utf-8") as stream:
            stream.write(summary)
    else:
        print(summary, end="")
    for line in github_annotations(view):
        print(line)


@commands.command()
def merge(
    runs: Annotated[list[Path], typer.Argument(help="Directories of runs: results/2*")],
    output: Annotated[
        Path, typer.Option(metavar="FILE", help="The JUnit file; its parts get numbers.")
    ] = Path("junit.xml"),
    max_mb: Annotated[
        float, typer.Option(min=0.01, help="The most megabytes of a part; GitLab takes 30.")
    ] = 25,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also write a run with everything, of which `bench report DIR` makes any report.",
        ),
    ] = None,
) -> None:
    """Join shards, and cells that were run again, into one JUnit file and one run.

    Every planned cell must be reported, once for each suite; one that is not is an error in the
    file, and is named here. Where runs overlap, the later counts. The runs must be of one
    configuration, one commit and the same tools. The exit status is that of one run: 1 if a verdict
    failed, 75 if something is missing or was not judged, else 0.
    """
    from bench.core.errors import BenchError
    from bench.core.files import reason, write_atomically
    from bench.core.text import one_line
    from bench.records.joining import join_runs
    from bench.records.run_directory import RunDirectory
    from bench.report.ending import Ending, ending_of
    from bench.report.merging import junit_parts, merge_runs, missing_lines
    from bench.report.run_view import read_run

    merged = merge_runs([read_run(RunDirectory(run)) for run in runs])
    if into is not None:
        join_runs([RunDirectory(run) for run in runs], into)
        print(one_line(f"run {into}"))
    parts = junit_parts(merged, int(max_mb * 1_000_000))
    numbered = len(parts) > 1
    for number, text in enumerate(parts, start=1):
        path = output.with_suffix(f".{number}{output.suffix}") if numbered else output
        try:
            write_atomically(path, text)
        except OSError as error:
            raise BenchError(f"{path}: cannot be written: {reason(error)}") from error
        print(one_line(f"JUnit {path}"))
    failed = sum(case.fails for case in merged.cases)
    for line in missing_lines(merged):
        print(one_line(line))
    print(
        f"{merged.planned:,} planned cells, {len(merged.unreported):,} of them INCOMPLETE: "
        f"reported by no run; {len(merged.cases):,} tests, {failed:,} failed, "
        f"{merged.repeated:,} reported more than once"
    )
    if not merged.green:
        raise typer.Exit(ending_of(merged.cases) or Ending.INFRASTRUCTURE)
