"""What a job costs on the virtual Corstone-300, compared with the simulator inside it.

    python -m benchmarks.fvp_round_trip MODELS... [--inferences 20]

Times are processor seconds and include the start of Python. One process runs the simulator alone;
the other is target `fvp` with the virtual platform as its executable, from job to measurement. The
exit status is 1 if the round trip takes more than twice the simulator's time plus 0.2 s.
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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.compiler import VelaOptions, compile_model
from bench.measuring.measurements import EVENTS
from bench.tflite.model_file import load_quantised
from bench.tflite.random_inputs import random_inputs
from bench.tflite.reference import ReferenceRunner
from benchmarks.json_file import add_json_option, write_json
from benchmarks.model_files import add_models_argument, model_files
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.fvp.target import FvpTarget
from targets.protocol import Job
from targets.settings.fvp import FvpSettings
from targets.simulator.timing import named_profile

PROFILE = "u55_high_end"
ROOT = Path(__file__).resolve().parent.parent
_SIMULATE = """
import sys
from pathlib import Path
import numpy as np
from targets.simulator.simulator import Simulator
archive = np.load(sys.argv[2])
Simulator(Path(sys.argv[1])).run([archive[name] for name in archive.files])
"""


@dataclass(frozen=True)
class Cost:
    """Processor seconds of the simulator alone and of the round trip; the best of some tries."""

    model: str
    simulator: float
    round_trip: float

    @property
    def limit(self) -> float:
        """How long the round trip may take."""
        return 2 * self.simulator + 0.2

    def __str__(self) -> str:
        return (
            f"{self.model:<28} {self.simulator:>8.2f} s {self.round_trip:>9.2f} s "
            f"{self.limit:>6.2f} s"
        )


def measure(model: Path, inferences: int, tries: int) -> Cost:
    """Both, for `model` compiled for 128 MACs."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        job = _job(model, directory, inferences)
        inputs = directory / "inputs.npz"
        np.savez(inputs, *job.inputs)
        command = [sys.executable, "-c", _SIMULATE, str(job.compiled_model), str(inputs)]
        target = FvpTarget(
            FvpSettings(executable=str(_executable(directory)), inferences_per_process=5000),
            directory / "logs",
            ReferenceRunner(),
        )
        target.prepare()
        alone = min(
            _seconds(lambda: subprocess.run(command, check=True, cwd=ROOT)) for _ in range(tries)
        )
        around = min(_seconds(lambda: target.run(job)) for _ in range(tries))
    return Cost(model.stem, alone, around)


def _job(source: Path, directory: Path, inferences: int) -> Job:
    macs, mode = Accelerator.U55_128, MemoryMode.SHARED_SRAM
    options = VelaOptions(accelerator=macs, memory_mode=mode)
    compiled = compile_model(source, options, directory)
    return Job(
        cell_id=f"{source.stem}-base-{macs.slug}-{mode.slug}-fvp",
        accelerator=macs,
        memory_mode=mode,
        source_model=source,
        compiled_model=compiled.path(directory),
        vela_version=compiled.vela_version,
        report=compiled.report,
        timing=named_profile(PROFILE),
        timing_name=PROFILE,
        inputs=random_inputs(load_quantised(source), inferences, seed=5),
        events=EVENTS,
    )


def _executable(directory: Path) -> Path:
    script = directory / "FVP"
    python = shlex.quote(sys.executable)
    root = shlex.quote(str(ROOT))
    script.write_text(
        f'#!/bin/sh\nPYTHONPATH={root} exec {python} -m targets.virtual "$@"\n', encoding="utf-8"
    )
    script.chmod(0o755)
    return script


def _seconds(work: Callable[[], object]) -> float:
    """Processor seconds of `work`, including its child processes."""

    def used() -> float:
        mine = os.times()
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return mine.user + mine.system + children.ru_utime + children.ru_stime

    before = used()
    work()
    return used() - before


def main() -> int:
    """Print a row for each model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_models_argument(parser)
    parser.add_argument("--inferences", type=int, default=1)
    parser.add_argument("--tries", type=int, default=3, help="each time is the best of this many")
    add_json_option(parser)
    options = parser.parse_args()
    print(f"{'model':<28} {'simulator':>10} {'round trip':>11} {'limit':>8}")
    costs = []
    for model in model_files(parser, options.models):
        costs.append(measure(model, options.inferences, options.tries))
        broken = costs[-1].round_trip > costs[-1].limit
        print(costs[-1], " BROKEN PROMISE" if broken else "", flush=True)
    write_json(options.json, [{**vars(cost), "limit": cost.limit} for cost in costs])
    return 0 if all(cost.round_trip <= cost.limit for cost in costs) else 1


if __name__ == "__main__":
    sys.exit(main())
