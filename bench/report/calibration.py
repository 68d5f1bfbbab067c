"""A calibration as text: what varied, by how much, and which tolerances follow."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bench.core.text import counted
from bench.judging.calibration import Pooled, Still, expected_alarms
from bench.judging.samples import Sample, Scale
from bench.plan.config import BaselineConfig, ToleranceRule, Widths
from bench.plan.metrics import MetricName, describe

__all__ = ["CalibratedMetric", "alarm_text", "calibration_text", "proposed_rules"]

#: Changes for which the power is told.
CHANGES = (0.01, 0.02, 0.05, 0.10)
_WIDTH = 100
_COLUMNS = ("mean", "sd", "min", "max")
_COLUMN = 11
#: Columns of a tolerance in words.
_STATED = 40
_ID = _WIDTH - _COLUMN * len(_COLUMNS)


@dataclass(frozen=True)
class CalibratedMetric:
    """What the repetitions say about one metric."""

    metric: MetricName
    pooled: tuple[Pooled, ...]
    still: tuple[Still, ...]


def calibration_text(
    metrics: Sequence[CalibratedMetric], config: BaselineConfig, grid: Sequence[str]
) -> str:
    """The tables, at most 100 columns wide. `grid` has the ids of all cells of a run."""
    lines: list[str] = []
    for one in metrics:
        if one.pooled:
            lines += [*_metric(one, config, grid), ""]
    never = [one.metric.value for one in metrics if one.still and not one.pooled]
    if never:
        lines += [*textwrap.wrap(f"Did not vary in any cell: {', '.join(never)}.", _WIDTH), ""]
    return "\n".join(lines)


def alarm_text(metrics: Iterable[CalibratedMetric], grid: Sequence[str]) -> str:
    """How many false alarms to expect in a run of the whole grid."""
    made = [(pooled, _comparisons(pooled, grid)) for one in metrics for pooled in one.pooled]
    count = sum(n for _, n in made)
    told = (
        f"A run of the grid makes {count:,} comparisons with these tolerances. If nothing but "
        f"chance changes, {_few(expected_alarms(made))} of them are expected to exceed theirs, "
        "half of them for the worse."
    )
    return "\n".join(textwrap.wrap(told, _WIDTH))


def proposed_rules(
    metrics: Iterable[CalibratedMetric], varied: str, today: str
) -> tuple[ToleranceRule, ...]:
    """The tolerances as they go into the configuration. `varied` says what made the runs differ."""
    return tuple(
        ToleranceRule.model_validate(
            {
                "metrics": (pooled.metric,),
                "cells": pooled.patterns,
                **pooled.widths.model_dump(exclude_unset=True),
                "evidence": _evidence(pooled, varied, today),
            }
        )
        for one in metrics
        for pooled in one.pooled
    )


def _evidence(pooled: Pooled, varied: str, today: str) -> str:
    runs = len(pooled.samples[0].values)
    return (
        f"bench calibrate, {today}: {counted(len(pooled.samples), 'cell')}, {runs} runs each "
        f"({varied}); standard deviation {_spread(pooled)} with {pooled.degrees:.1f} degrees of "
        "freedom; normal prediction interval for the difference of two runs, "
        f"t = {pooled.quantile:.3g}; false alarms: {_percent(pooled.rate)} of comparisons"
    )


def _metric(one: CalibratedMetric, config: BaselineConfig, grid: Sequence[str]) -> Iterator[str]:
    unit = describe(one.metric).unit
    title = one.metric.value + (f" [{unit}]" if unit else "")
    yield f"{title:{_ID}}" + "".join(f"{column:>{_COLUMN}}" for column in _COLUMNS)
    for pooled in one.pooled:
        yield from map(_row, pooled.samples)
        yield from _verdict(pooled, config, grid)
    for still in one.still:
        yield from map(_row, still.samples)
    if one.still:
        cells = sum(len(still.samples) for still in one.still)
        runs, most = len(one.still[0].samples[0].values), one.still[0].most_often
        yield (
            f"  -> {counted(cells, 'cell')} did not vary in {runs} runs (at most {most:.0%} of "
            "runs differ); no tolerance is proposed"
        )


def _row(sample: Sample) -> str:
    figures = (sample.mean, sample.deviation, min(sample.values), max(sample.values))
    told = "".join(f"{_figure(figure):>{_COLUMN}}" for figure in figures)
    name = f"  {sample.cell}"
    return f"{name:{_ID}}{told}" if len(name) < _ID else f"{name}\n{'':{_ID}}{told}"


def _verdict(pooled: Pooled, config: BaselineConfig, grid: Sequence[str]) -> Iterator[str]:
    now, origin = config.widths(pooled.metric, pooled.samples[0].cell)
    comparisons = _comparisons(pooled, grid)
    patterns = " and ".join(pooled.patterns)
    yield from textwrap.wrap(
        f"for {patterns} ({counted(comparisons, 'cell')} of the grid): standard deviation "
        f"{_spread(pooled)}, {pooled.degrees:.1f} degrees of freedom; now is {origin}",
        _WIDTH,
        initial_indent="  -> ",
        subsequent_indent="     ",
        break_on_hyphens=False,
    )
    heads = "".join(f"{change:>6.0%}" for change in CHANGES)
    yield f"     {'':{_STATED}}{'false alarms':>14}{'in a run':>10}   sees{heads}"
    for name, widths in (("proposed", pooled.widths), ("now", now)):
        power = "".join(f"{pooled.power(widths, change):>6.0%}" for change in CHANGES)
        alarms = pooled.false_alarms(widths)
        told = f"{_percent(alarms):>14}{_few(alarms * comparisons):>10}       {power}"
        yield f"     {f'{name}: {_widths(widths)}':{_STATED}}{told}"


def _comparisons(pooled: Pooled, grid: Sequence[str]) -> int:
    return sum(any(fnmatchcase(id_, pattern) for pattern in pooled.patterns) for id_ in grid)


def _spread(pooled: Pooled) -> str:
    if pooled.scale is Scale.RELATIVE:
        return f"{100 * pooled.spread:.2g} %"
    return f"{pooled.spread:.2g} {describe(pooled.metric).unit}".rstrip()


def _widths(widths: Widths) -> str:
    stated = [
        f"{name} = {value:g}"
        for name, value in (("relative", widths.relative), ("absolute", widths.absolute))
        if value
    ]
    return ", ".join(stated) or "any change counts"


def _figure(value: float) -> str:
    if not value:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share >= 1e-6 else "< 0.0001 %"


def _few(number: float) -> str:
    return f"{number:.2g}" if number >= 1e-4 else "< 0.0001"
