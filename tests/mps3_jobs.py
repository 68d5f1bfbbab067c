"""A small job for boards, and what the simulator makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.cell import Accelerator, MemoryMode
from bench.compiler import VelaOptions, compile_model
from bench.engine import EVENTS
from bench.errors import BenchError
from bench.interpreters import random_inputs
from bench.tflite import load_quantised
from targets.protocol import Job, Measurement
from targets.sim import SimulatorTarget
from targets.simulator.timing import PROFILES
from tests.tflite_factory import mlp

__all__ = ["assert_as_sim", "job_of", "small_job"]


def job_of(
    source: Path,
    directory: Path,
    *,
    rows: int,
    accelerator: Accelerator = Accelerator.U55_128,
    mode: MemoryMode = MemoryMode.SHARED_SRAM,
    name: str = "small",
) -> Job:
    """A job for a quantised model, compiled into `directory`."""
    compiled = compile_model(
        source, VelaOptions(accelerator=accelerator, memory_mode=mode), directory
    )
    return Job(
        cell_id=f"{name}-base-{accelerator.slug}-{mode.slug}-mps3",
        accelerator=accelerator,
        memory_mode=mode,
        source_model=source,
        compiled_model=compiled.path(directory),
        report=compiled.report,
        timing=PROFILES["u55_high_end"],
        timing_name="u55_high_end",
        inputs=random_inputs(load_quantised(source), rows, seed=3),
        events=EVENTS,
    )


def small_job(directory: Path, rows: int = 2) -> Job:
    """Two dense layers."""
    generator = np.random.default_rng(7)
    layers = [generator.integers(-127, 128, shape, dtype=np.int8) for shape in ((16, 32), (10, 16))]
    directory.mkdir(parents=True, exist_ok=True)
    source = directory / "small.tflite"
    source.write_bytes(mlp(layers, softmax=False))
    return job_of(source, directory / "compiled", rows=rows)


def assert_as_sim(job: Job, outcome: Measurement | BenchError) -> None:
    """The board's answer is, bit by bit and count by count, the simulator's."""
    assert isinstance(outcome, Measurement), outcome
    expected = SimulatorTarget().run(replace(job, events=tuple(job.events)))
    assert outcome.counters == expected.counters
    assert len(outcome.outputs) == len(expected.outputs)
    for got, want in zip(outcome.outputs, expected.outputs, strict=True):
        np.testing.assert_array_equal(got, want)
