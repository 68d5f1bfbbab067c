"""Whether each judgement that a configuration requests can be made in its own grid.

A limit for 256 MACs in a grid of 128 judges nothing, and nothing would say so: the run is green.
Only the file counts here. What the command line leaves out of the grid (another target, a selection
of tests) is left out on purpose, for that run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.plan.config.limits import LimitRule
from bench.plan.config.settings import BenchConfig, GridConfig
from bench.plan.config.workloads import (
    BASE_VARIANT,
    ModelFileWorkload,
    TrainedWorkload,
    Workload,
)
from bench.plan.metrics import MetricName

__all__ = ["unreachable"]


def unreachable(config: BenchConfig) -> Iterator[tuple[str, str]]:
    """The keys of `config` that can never have an effect, each with the reason.

    A workload that `grid.workloads` leaves out is ignored, as if it were not in the file.
    """
    grid = config.grid
    if not (grid.macs and grid.memory_modes):
        # There is no cell at all; the plan has a better message for that.
        return
    for name in grid.workloads or config.workloads:
        workload = config.workloads[name]
        planned = [v for v in workload.variants if not grid.variants or v in grid.variants]
        for key, reason in _of_workload(workload, planned, grid):
            yield f"workloads.{name}.{key}", reason


def _of_workload(
    workload: Workload, planned: Sequence[str], grid: GridConfig
) -> Iterator[tuple[str, str]]:
    if not planned:
        if workload.limits:
            yield "limits", "no variant of this workload is in grid.variants"
        return
    for i, rule in enumerate(workload.limits):
        for key, reason in _of_limit(rule, workload, planned, grid):
            yield f"limits[{i}].{key}", reason
    for mode in workload.expect_bound:
        if mode not in grid.memory_modes:
            yield f"expect_bound.{mode.value}", "is not in grid.memory_modes"
        elif len(set(grid.macs)) < 2:
            yield (
                f"expect_bound.{mode.value}",
                "grid.macs has one accelerator only, so there is no sweep",
            )
    if isinstance(workload, TrainedWorkload):
        yield from _of_order(workload, planned)


def _of_limit(
    rule: LimitRule, workload: Workload, planned: Sequence[str], grid: GridConfig
) -> Iterator[tuple[str, str]]:
    for macs in rule.macs or ():
        if macs not in grid.macs:
            yield "macs", f"{int(macs)} is not in grid.macs, so this limit can never apply there"
    for mode in rule.memory_modes or ():
        if mode not in grid.memory_modes:
            yield (
                "memory_modes",
                f"{mode.value} is not in grid.memory_modes, so this limit can never apply there",
            )
    for variant in rule.variants or ():
        if variant not in planned:
            yield (
                "variants",
                f"{variant!r} is not in grid.variants, so this limit can never apply there",
            )
    if set(rule.variants or planned) <= {BASE_VARIANT}:
        for key in ("max_drop_from_base", "max_ratio_to_base"):
            if getattr(rule, key) is not None:
                yield key, f"compares with {BASE_VARIANT!r}, and there is no other variant here"
    if (
        rule.metric is MetricName.ACCURACY
        and isinstance(workload, ModelFileWorkload)
        and workload.dataset is None
    ):
        yield "metric", "there is no accuracy without a dataset: name one with `dataset`"


def _of_order(workload: TrainedWorkload, planned: Sequence[str]) -> Iterator[tuple[str, str]]:
    if workload.order and len(set(workload.order) & set(planned)) < 2:
        yield "order", "fewer than two of these variants are in the grid, so nothing is compared"
    if workload.order_tolerance and not workload.order:
        yield "order_tolerance", "there is no `order` it could be for"
