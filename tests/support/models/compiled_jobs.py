"""Jobs for targets: a model, compiled by Vela, with inputs."""

from __future__ import annotations

from pathlib import Path

from bench.compiler import VelaOptions, compile_model
from bench.measuring.measurements import EVENTS
from bench.tflite.model_file import load_quantised
from bench.tflite.random_inputs import random_inputs
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.protocol import Job
from targets.simulator.timing import PROFILES
from tests.support.models.vela_files import small_mlp

__all__ = ["compiled_job", "small_job"]


def compiled_job(
    source: Path,
    directory: Path,
    *,
    accelerator: Accelerator,
    memory_mode: MemoryMode,
    rows: int,
    events: tuple[str, ...] = EVENTS,
) -> Job:
    """`source` compiled into `directory`, to be run on `rows` random inputs."""
    options = VelaOptions(accelerator=accelerator, memory_mode=memory_mode)
    compiled = compile_model(source, options, directory)
    return Job(
        cell_id=f"{source.stem}-base-{accelerator.slug}-{memory_mode.slug}-x",
        accelerator=accelerator,
        memory_mode=memory_mode,
        source_model=source,
        compiled_model=compiled.path(directory),
        vela_version=compiled.vela_version,
        report=compiled.report,
        timing=PROFILES["u55_high_end"],
        timing_name="u55_high_end",
        inputs=random_inputs(load_quantised(source), rows, seed=5),
        events=events,
    )


def small_job(directory: Path, accelerator: Accelerator = Accelerator.U55_64) -> Job:
    """A tiny network on three inputs."""
    directory.mkdir(parents=True, exist_ok=True)
    source = directory / "tiny.tflite"
    source.write_bytes(small_mlp(softmax=True))
    return compiled_job(
        source,
        directory,
        accelerator=accelerator,
        memory_mode=MemoryMode.SHARED_SRAM,
        rows=3,
    )
