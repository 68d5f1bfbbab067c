"""A small job for boards, and what the simulator makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.core.errors import BenchError
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.protocol import Job, Measurement
from targets.sim import SimulatorTarget
from tests.support.models.compiled_jobs import compiled_job
from tests.support.models.tflite_factory import mlp

__all__ = ["assert_as_sim", "board_job", "small_board_job"]


def small_board_job(directory: Path, rows: int = 2) -> Job:
    """Two dense layers."""
    generator = np.random.default_rng(7)
    layers = [generator.integers(-127, 128, shape, dtype=np.int8) for shape in ((16, 32), (10, 16))]
    directory.mkdir(parents=True, exist_ok=True)
    source = directory / "small.tflite"
    source.write_bytes(mlp(layers, softmax=False))
    return board_job(source, directory / "compiled", rows=rows)


def board_job(
    source: Path, directory: Path, *, rows: int, mode: MemoryMode = MemoryMode.SHARED_SRAM
) -> Job:
    """A job for the accelerator most boards have."""
    return compiled_job(
        source, directory, accelerator=Accelerator.U55_128, memory_mode=mode, rows=rows
    )


def assert_as_sim(job: Job, outcome: Measurement | BenchError) -> None:
    """The board's answer is, bit by bit and count by count, the simulator's."""
    assert isinstance(outcome, Measurement), outcome
    expected = SimulatorTarget().run(job)
    assert outcome.counters == expected.counters
    assert len(outcome.outputs) == len(expected.outputs)
    for got, want in zip(outcome.outputs, expected.outputs, strict=True):
        np.testing.assert_array_equal(got, want)
