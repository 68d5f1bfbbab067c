"""`bench run`: the main job."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["PASSED_ON", "run"]

#: Settings of a command that leaves its options to another program.
PASSED_ON: dict[str, Any] = {"ignore_unknown_options": True}


class Judging(str, Enum):
    """How the grid is judged."""

    TESTS = "tests"
    CELLS = "cells"


def run(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PYTEST OPTIONS] [TESTS]",
            help="What pytest takes; `bench run -h` lists its options.",
            show_default=False,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Measure and judge only part I of N of the grid, such as 2/5; `bench report "
            "merge` joins the parts.",
        ),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Balance the shards by the times in this plan of `bench plan -o FILE`. Every "
            "shard must get the same file.",
        ),
    ] = None,
    judge: Annotated[
        Judging,
        typer.Option(
            help="With a test of pytest for each figure, or cell by cell without tests: the same "
            "verdicts and reports, in a fraction of the time for grids of 1,000 cells and more.",
        ),
    ] = Judging.TESTS,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Let a cluster make the records: tcp://host:8786, or local:4 for processes here.",
        ),
    ] = None,
) -> None:
    """Measure and judge every cell of bench.toml: pytest with the bench's own suites.

    All other options go to pytest. The bench's own begin with --bench-, such as --bench-config=FILE
    (default: bench.toml in the working directory). A test is named as in reports:

    bench run 'tests/regression/test_npu_cycles.py::test_npu_cycles[my_model-base-u55_128-...]'

    Without tests, all suites run, with a worker for each core. -n says otherwise: -n 4, or -n 0 for
    none. The exit status is 0 if all verdicts pass, 1 if one fails, 75 if none fails but something
    could not be judged (a worker died, a board or a download failed), so that another try may help;
    and as pytest has it 2 if it was interrupted, 3 after an error of pytest, 4 for a mistake in the
    configuration or the command, 5 if no test was selected.
    """
    from bench.core.main_job import main_job_command

    own = [] if shard is None else [f"--bench-shard={shard}"]
    own += [] if plan is None else [f"--bench-plan={plan}"]
    own += [] if judge is Judging.TESTS else [f"--bench-judge={judge.value}"]
    own += [] if cluster is None else [f"--bench-cluster={cluster}"]
    command = main_job_command(Path.cwd(), [*own, *(arguments or [])])
    # Not a child: signals, terminal and exit status are those of pytest.
    os.execv(command[0], command)
