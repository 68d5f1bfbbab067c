"""`bench calibrate`: how much figures vary while nothing is changed; the tolerances that follow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import CacheRoot, ConfigFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.assembly.repeating import Repeated, Variation
    from bench.assembly.session import RunSetup
    from bench.plan.cell import Cell
    from bench.plan.config import BenchConfig, ToleranceRule
    from bench.plan.metrics import MetricName
    from bench.report.calibration import CalibratedMetric
    from targets.protocol import Target

__all__ = ["calibrate"]


def calibrate(
    cells: Annotated[
        list[str] | None,
        typer.Option(
            "--cell", metavar="PATTERN", help="Only these cells of the grid; may be repeated."
        ),
    ] = None,
    runs: Annotated[
        int, typer.Option("--runs", metavar="N", min=3, help="How often each is measured.")
    ] = 8,
    metrics: Annotated[
        list[str] | None, typer.Option("--metric", help="Only this metric; may be repeated.")
    ] = None,
    rate: Annotated[
        float,
        typer.Option(
            "--false-alarms",
            metavar="RATE",
            help="In which share of comparisons chance alone may exceed a tolerance.",
        ),
    ] = 0.001,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Write the tolerances into this file."),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the tolerances into the configuration.")
    ] = False,
    config: ConfigFile = Path("bench.toml"),
    cache: CacheRoot = None,
) -> None:
    """Measure how much figures vary while nothing is changed, and propose tolerances.

    A trained variant is made with N seeds, from the configured one on. A model file on the FVP or a
    board is measured N times. Everything is kept in the cache: after Ctrl-C, the same command goes
    on from there, and with a larger N only what is new is done.

    Have a look at what it proposes, then repeat the command with --write.
    """
    import datetime

    from bench.core.errors import ConfigError
    from bench.core.files import write_atomically
    from bench.core.text import printable
    from bench.plan.config.editing import tolerances_toml
    from bench.report.calibration import alarm_text, calibration_text, proposed_rules

    if not 0 < rate < 1:
        raise ConfigError(f"--false-alarms {rate}: is no share between 0 and 1")
    chosen = _metrics(metrics)
    setup = _setup(config, cache)
    grid = [cell.id for cell in setup.plan().cells]
    repeated = _measured(setup, cells, runs)
    if not repeated:
        return
    found = _calibrated(repeated, chosen, rate)
    print(printable(calibration_text(found, setup.config.baselines, grid)))
    today = datetime.datetime.now().astimezone().date().isoformat()
    rules = proposed_rules(found, _varied(setup.config, repeated, runs), today)
    if not rules:
        print("Nothing varied, so no tolerance is proposed.")
        return
    print(printable(alarm_text(found, grid)), end="\n\n")
    print(printable(tolerances_toml(rules)), end="")
    if output is not None:
        write_atomically(output, tolerances_toml(rules))
        print(printable(f"\nwritten {output}"))
    if write:
        _write(config, rules)
        print(printable(f"\nwritten {config}"))
    elif output is None:
        print(printable(f"\nTo write this into {config}, repeat the command with --write."))


def _metrics(names: list[str] | None) -> tuple[MetricName, ...]:
    from bench.core.errors import ConfigError
    from bench.core.schema import suggest
    from bench.plan.metrics import MetricName

    known = [metric.value for metric in MetricName]
    for name in names or ():
        if name not in known:
            raise ConfigError(f"unknown metric {name!r}; {suggest(name, known)}")
    return tuple(metric for metric in MetricName if not names or metric.value in names)


def _setup(config: Path, cache: Path | None) -> RunSetup:
    """The setup of a run, without its reports."""
    import os

    from bench.assembly.setup import prepare_run
    from bench.cache import default_remote, default_root

    return prepare_run(
        config_path=config,
        targets=(),
        velas=(),
        results=config.resolve().parent / "results" / "calibrations",
        cache_root=cache or default_root(os.environ),
        remote_cache=default_remote(os.environ),
        invocation=(),
    )


def _measured(setup: RunSetup, patterns: list[str] | None, runs: int) -> tuple[Repeated, ...]:
    """The chosen cells of the grid, each measured `runs` times; without those that cannot vary."""
    from collections import Counter
    from dataclasses import replace

    from bench.assembly.repeating import repeat_cells
    from bench.assembly.session import open_tools
    from bench.assembly.setup import (
        checked_velas,
        kept_inputs,
        surveyed_inputs,
        unavailable_targets,
        with_recipes,
    )
    from bench.cli.noise.progress import TerminalProgress, resumable, tell
    from bench.core.errors import TargetUnavailableError
    from bench.records.run_directory import RunDirectory

    cells = _chosen(setup, patterns)
    setup = replace(setup, targets=tuple(dict.fromkeys(cell.target for cell in cells)))
    progress = TerminalProgress()
    setup = replace(setup, inputs=checked_velas(setup, progress))
    setup = replace(setup, inputs=surveyed_inputs(setup))
    for name, (what, cure) in unavailable_targets(setup).items():
        raise TargetUnavailableError(f"target {name!r}: {what}", cure=cure)
    setup = with_recipes(replace(setup, config=kept_inputs(setup)), progress)
    done: Counter[Cell] = Counter()

    def heard(cell: Cell, number: int) -> None:
        done[cell] += 1
        tell(f"{done.total()} of {len(varying) * runs}: {cell.id}, run {number + 1}")

    def state() -> str:
        return (
            f"{done.total()} of {len(varying) * runs} figures are in the cache; the same command "
            "goes on from there"
        )

    varying: dict[Cell, Variation] = {}
    with (
        resumable(state),
        open_tools(setup, RunDirectory(setup.run_path), progress) as tools,
    ):
        varying = _varying(setup.config, cells, tools.targets)
        return repeat_cells(tools, varying, runs, heard)


def _chosen(setup: RunSetup, patterns: list[str] | None) -> tuple[Cell, ...]:
    from fnmatch import fnmatchcase

    from bench.core.errors import ConfigError

    cells = setup.plan().cells
    for pattern in patterns or ():
        if not any(fnmatchcase(cell.id, pattern) for cell in cells):
            raise ConfigError(
                f"--cell {pattern}: no cell of the grid of {setup.config_path} is like this",
                cure="`bench cells` lists them; patterns have *, as in 'mnist_fc-*-u55_128-*'",
            )
    return tuple(
        cell
        for cell in cells
        if patterns is None or any(fnmatchcase(cell.id, pattern) for pattern in patterns)
    )


def _varying(
    config: BenchConfig, cells: Sequence[Cell], targets: Mapping[str, Target]
) -> dict[Cell, Variation]:
    """The cells that can vary, and why; says which others there are."""
    from bench.assembly.repeating import Variation, variation_of
    from bench.core.text import printable

    found = {
        cell: variation_of(config, cell, targets[cell.target].capabilities().source)
        for cell in cells
    }
    still = [cell for cell, why in found.items() if why is Variation.NOTHING]
    for family, target in dict.fromkeys((cell.family, cell.target) for cell in still):
        print(
            printable(
                f"{family} on {target}: nothing varies, as the model is a file and the target "
                "always counts the same; every change counts, and no tolerance is needed"
            )
        )
    return {cell: why for cell, why in found.items() if why is not Variation.NOTHING}


def _calibrated(
    repeated: Sequence[Repeated], metrics: Sequence[MetricName], rate: float
) -> tuple[CalibratedMetric, ...]:
    from bench.cli.noise.progress import tell
    from bench.judging.calibration import calibrate as calibrated
    from bench.judging.samples import Sample
    from bench.records.figures import Absent
    from bench.records.metric_values import metric_value
    from bench.report.calibration import CalibratedMetric

    found = []
    for metric in metrics:
        samples = []
        for one in repeated:
            values = [metric_value(record, metric) for record in one.records]
            there = tuple(value for value in values if not isinstance(value, Absent))
            if len(there) == len(values):
                cell = one.cell
                place = cell.id.removeprefix(f"{cell.family}-{cell.accelerator.slug}-")
                samples.append(Sample(cell.id, cell.workload, cell.variant, place, there))
            elif there:
                tell(
                    f"{one.cell.id}: {metric.value} is missing in {len(values) - len(there)} of "
                    f"{len(values)} runs, so it has no tolerance: its baseline judges that"
                )
        found.append(CalibratedMetric(metric, *calibrated(metric, samples, rate)))
    return tuple(found)


def _varied(config: BenchConfig, repeated: Sequence[Repeated], runs: int) -> str:
    """What made the runs differ."""
    from bench.assembly.repeating import Variation
    from bench.plan.config import TrainedWorkload

    told = []
    if any(one.variation is Variation.SEED for one in repeated):
        seeds = {
            workload.seed
            for one in repeated
            if isinstance(workload := config.workloads[one.cell.workload], TrainedWorkload)
        }
        first = f"{min(seeds)} to {min(seeds) + runs - 1}" if len(seeds) == 1 else ""
        told.append(f"seeds {first}" if first else f"{runs} seeds from the configured one on")
    if any(one.variation is Variation.TARGET for one in repeated):
        told.append(Variation.TARGET.value)
    return ", ".join(told)


def _write(config: Path, rules: Sequence[ToleranceRule]) -> None:
    from bench.plan.config.document import read_text
    from bench.plan.config.editing import replace_config, with_tolerances

    # As it is now: the measurements may have taken hours.
    replace_config(config, with_tolerances(read_text(config), rules, config))
