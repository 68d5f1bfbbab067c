"""A cell of a finished run, found by its id: its record, its compiled model, its memories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.cache import ArtefactCache
from bench.compiler import CompiledModel
from bench.core.errors import BenchError, CacheError, ConfigError
from bench.core.schema import suggest
from bench.judging.suites import reproduce_command
from bench.measuring.engine import compiled_key
from bench.plan.cell import DEFAULT_TIMING, Cell
from bench.plan.config import load_config, timing_of
from bench.records.record import Record
from bench.records.run_directory import RunDirectory
from targets.timing_profiles import PROFILES, TimingProfile

__all__ = ["compiled_model", "find_record", "timing_profile"]

#: Suggesting ids of hundreds of cells would hide the one that was meant.
_SUGGESTED = 8


def find_record(run: RunDirectory, cell_id: str) -> Record:
    """The record of the cell called `cell_id`.

    Raises:
        ConfigError: the run has no such cell; the message names the nearest.
        BenchError: the run cannot be read, or the cell was planned and not measured.
    """
    planned = run.manifest().planned_cells
    path = run.path / "cells" / f"{cell_id}.json"
    if cell_id in planned and not path.is_file():
        raise BenchError(
            f"{cell_id}: planned in {run.path} and not measured",
            cure=f"run {reproduce_command('npu_cycles', cell_id)}",
        )
    if cell_id not in planned:
        raise ConfigError(
            f"{run.path} has no cell {cell_id!r}",
            cure=f"{_nearest(cell_id, planned)}; `bench cells` lists a grid",
        )
    return run.record(cell_id)


def _nearest(cell_id: str, planned: tuple[str, ...]) -> str:
    hint, _, known = suggest(cell_id, planned).rpartition("known: ")
    names = known.split(", ")
    rest = f" and {len(names) - _SUGGESTED} more" if len(names) > _SUGGESTED else ""
    return f"{hint}known: {', '.join(names[:_SUGGESTED])}{rest}"


def compiled_model(record: Record, cache: ArtefactCache) -> Path:
    """What Vela made for the cell, from the cache.

    Raises:
        CacheError: it is not there (any more).
    """
    compilation = record.compilation
    entry = cache.find(compiled_key(record.model.sha256, compilation.options))
    if entry is None:
        raise CacheError(
            f"{record.cell.id}: the compiled model is not in the cache {cache.root}",
            cure="it was evicted, made by another version of the bench, or lies in another cache "
            f"(--cache DIR); run {reproduce_command('npu_cycles', record.cell.id)} to make it",
        )
    product = CompiledModel.model_validate_json(entry.file("compiled.json").read_text())
    if product.sha256 != compilation.sha256:
        raise CacheError(
            f"{record.cell.id}: the compiled model in the cache is not the one of the record",
            cure=f"run {reproduce_command('npu_cycles', record.cell.id)} to measure it anew",
        )
    return product.path(entry.path)


def timing_profile(record: Record, run: RunDirectory) -> tuple[str, TimingProfile]:
    """Name and content of the cell's timing profile.

    One of the user's own is read from the configuration the run was made with. Raises
    `ConfigError` where it does not define the profile (any more).
    """
    cell = record.cell
    if cell.timing in PROFILES:
        return cell.timing, PROFILES[cell.timing]
    path = Path(run.manifest().config_path)
    config = load_config(path)
    known: Mapping[str, TimingProfile] = config.timing
    if cell.timing != DEFAULT_TIMING and cell.timing not in known:
        raise ConfigError(
            f"{path}: timing profile {cell.timing!r} of {cell.id} is not defined any more",
            cure=f"restore [timing.{cell.timing}], or measure the cell anew",
        )
    return timing_of(
        config,
        Cell(
            cell.workload,
            cell.variant,
            cell.macs,
            cell.memory_mode,
            cell.target,
            cell.system_config,
            cell.timing,
        ),
    )
