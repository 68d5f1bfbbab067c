"""What a job costs on the virtual Corstone-300, beside the simulator that does its NPU's work.

    python -m benchmarks.fvp_round_trip MODEL.tflite... [--inferences 20]

Processor seconds, start-up of Python included in both: one process that runs the simulator alone,
and target `fvp` with the virtual platform as its executable, from job to measurement.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.tflite.interpreters import run_tflm
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.fvp.target import FvpTarget
from targets.settings.fvp import FvpSettings
from tests.support.models.compiled_jobs import compiled_job

__all__ = ["compare", "main"]

ROOT = Path(__file__).resolve().parent.parent
_SIMULATE = """
import sys
from pathlib import Path
import numpy as np
from targets.simulator.simulator import Simulator
archive = np.load(sys.argv[2])
Simulator(Path(sys.argv[1])).run([archive[name] for name in archive.files])
"""


def compare(model: Path, inferences: int, tries: int = 3) -> tuple[float, float]:
    """Processor seconds of the simulator alone, and of the round trip; the best of `tries`."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        job = compiled_job(
            model,
            directory,
            accelerator=Accelerator.U55_128,
            memory_mode=MemoryMode.SHARED_SRAM,
            rows=inferences,
        )
        inputs = directory / "inputs.npz"
        np.savez(inputs, *job.inputs)
        command = [sys.executable, "-c", _SIMULATE, str(job.compiled_model), str(inputs)]
        target = FvpTarget(
            FvpSettings(executable=str(_executable(directory)), inferences_per_process=5000),
            directory / "logs",
            run_tflm,
        )
        target.prepare()
        alone = min(
            _seconds(lambda: subprocess.run(command, check=True, cwd=ROOT)) for _ in range(tries)
        )
        around = min(_seconds(lambda: target.run(job)) for _ in range(tries))
    return alone, around


def _executable(directory: Path) -> Path:
    script = directory / "FVP"
    python = shlex.quote(sys.executable)
    root = shlex.quote(str(ROOT))
    script.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {python} -m targets.virtual "$@"\n')
    script.chmod(0o755)
    return script


def _seconds(work: Callable[[], object]) -> float:
    """Processor seconds of `work`, those of its child processes included."""

    def used() -> float:
        mine = os.times()
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return mine.user + mine.system + children.ru_utime + children.ru_stime

    before = used()
    work()
    return used() - before


def main() -> None:
    """Print a row for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL.tflite")
    parser.add_argument("--inferences", type=int, default=1)
    options = parser.parse_args()
    print(f"{'model':<28} {'simulator':>10} {'round trip':>11} {'limit':>8}")
    for model in options.models:
        alone, around = compare(model, options.inferences)
        print(f"{model.stem:<28} {alone:>8.2f} s {around:>9.2f} s {2 * alone + 0.2:>6.2f} s")


if __name__ == "__main__":
    main()
