"""A cell of a finished run, found by its id: its record, its compiled model, its memories."""

from __future__ import annotations

from pathlib import Path

from bench.cache import ArtefactCache
from bench.core.errors import BenchError, CacheError, ConfigError
from bench.core.fingerprint import read_source_tree
from bench.core.schema import suggest
from bench.judging.suites import reproduce_command
from bench.measuring.compilation import compilation_product, kept_compilation
from bench.measuring.products import ProductStore
from bench.measuring.progress import ignore
from bench.plan.config import profile_name
from bench.records.record import Record
from bench.records.run_directory import RunDirectory
from targets.timing_profiles import TimingProfile

__all__ = ["compiled_model", "find_record", "timing_profile"]

#: How many ids to suggest; hundreds would hide the right one.
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
        CacheError: it is not there, or no longer.
    """
    compilation = record.compilation
    store = ProductStore(cache, read_source_tree(), ignore)
    product = compilation_product(
        store,
        record.cell.id,
        record.model.sha256,
        compilation.options,
        compilation.vela_version,
        compilation.config_sha256,
    )
    entry = store.find(product)
    if entry is None:
        raise CacheError(
            f"{record.cell.id}: the compiled model is not in the cache {cache.root}",
            cure="it was evicted, made by another version of the bench, or is in another cache "
            f"(--cache DIR); run {reproduce_command('npu_cycles', record.cell.id)} to make it",
        )
    made, path = kept_compilation(entry)
    if made.sha256 != compilation.sha256:
        raise CacheError(
            f"{record.cell.id}: the compiled model in the cache is not the one of the record",
            cure=f"run {reproduce_command('npu_cycles', record.cell.id)} to measure it again",
        )
    return path


def timing_profile(record: Record, run: RunDirectory) -> tuple[str, TimingProfile]:
    """Name and content of the timing profile the cell was measured with.

    Raises `BenchError` if the run was made by a version that did not store it.
    """
    cell = record.cell
    name = profile_name(cell.timing, cell.system_config)
    profile = run.manifest().timing.get(name)
    if profile is None:
        raise BenchError(
            f"{run.path}: does not hold the timing profile {name!r} of {cell.id}: the run was made "
            "by an older version of the bench",
            cure=f"run {reproduce_command('npu_cycles', cell.id)} to measure it again",
        )
    return name, profile
