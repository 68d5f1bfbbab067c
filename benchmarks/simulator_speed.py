"""Compare the simulator with TFLite-Micro's interpreter: same models, same machine, same run.

`python -m benchmarks.simulator_speed MODELS...` takes quantised `.tflite` models, or directories of
them. For each it prints milliseconds per inference (in a batch of 256, and alone; preparation
separately), the ratios to TFLite-Micro, and the peak memory of a process that only simulates. The
exit status is 1 if a promise is broken: at batch 256 at least as many inferences per second as
TFLite-Micro on every model, one inference of `vww_96_int8` in at most 3 times TFLite-Micro's time,
at most 1 GiB of memory.

Times are processor times. Both run on one thread, so on a quiet machine they equal the wall time,
and on a busy one they still show the cost.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.compiler import VelaOptions, compile_model
from bench.core.arrays import Array
from bench.tflite.model_file import inspect
from bench.tflite.random_inputs import random_inputs
from benchmarks.json_file import add_json_option, write_json
from benchmarks.model_files import add_models_argument, model_files
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.simulator.simulator import Simulator

BATCH = 256
SINGLE_MODEL = "vww_96_int8"
SINGLE_LIMIT = 3.0
MEMORY_LIMIT = 1 << 30
#: Each time is the best of this many.
REPEATS = 5
TFLM_ROWS = 16


@dataclass(frozen=True)
class Timing:
    """Milliseconds per inference, and bytes."""

    model: str
    tflm: float
    batch: float
    single: float
    prepare: float
    peak: int

    def __str__(self) -> str:
        return (
            f"{self.model:24} {self.tflm:8.2f} {self.batch:8.3f} {self.tflm / self.batch:7.1f} x "
            f"{self.single:8.2f} {self.single / self.tflm:7.2f} x {self.prepare:8.0f} "
            f"{self.peak / 2**20:7.0f} MiB"
        )

    @property
    def kept(self) -> bool:
        """Whether this model keeps every promise."""
        single = self.model != SINGLE_MODEL or self.single <= SINGLE_LIMIT * self.tflm
        return self.batch <= self.tflm and single and self.peak <= MEMORY_LIMIT


def best(run: Callable[[], object]) -> float:
    """Milliseconds of the fastest of several runs."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        run()
        times.append(1000 * (time.process_time() - start))
    return min(times)


def simulate(compiled: Path, inputs: tuple[Array, ...]) -> tuple[float, float, float, int]:
    """Batch, single and preparation time in ms, and peak memory. Runs in its own process."""
    start = time.process_time()
    simulator = Simulator(compiled)
    prepare = 1000 * (time.process_time() - start)
    one = [array[:1] for array in inputs]
    batch = best(lambda: simulator.run(inputs)) / len(inputs[0])
    single = best(lambda: simulator.run(one))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return batch, single, prepare, peak


def interpret(model: Path, inputs: tuple[Array, ...]) -> float:
    """TFLite-Micro's time for one inference in ms."""
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(str(model), arena_size=64 << 20)

    def run() -> None:
        for row in range(TFLM_ROWS):
            for index, array in enumerate(inputs):
                interpreter.set_input(array[row : row + 1], index)
            interpreter.invoke()
            interpreter.get_output(0)

    return best(run) / TFLM_ROWS


def measure(model: Path, accelerator: Accelerator) -> Timing:
    """Both, each in a process of its own. BLAS has as many threads there as
    `OPENBLAS_NUM_THREADS` says.
    """
    inputs = random_inputs(inspect(model), BATCH, seed=0)
    with tempfile.TemporaryDirectory() as directory:
        options = VelaOptions(accelerator=accelerator, memory_mode=MemoryMode.SHARED_SRAM)
        compiled = compile_model(model, options, Path(directory)).path(Path(directory))
        # One process each, so that their memory is not mixed up.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            tflm = pool.apply(interpret, (model, inputs))
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            batch, single, prepare, peak = pool.apply(simulate, (compiled, inputs))
    return Timing(model.stem, tflm, batch, single, prepare, peak)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_models_argument(parser)
    parser.add_argument("--macs", type=int, default=128, choices=[int(a) for a in Accelerator])
    add_json_option(parser)
    arguments = parser.parse_args()
    print(
        f"{'ms per inference':24} {'TFLM':>8} {f'x {BATCH}':>8} {'faster':>9} "
        f"{'single':>8} {'slower':>9} {'prepare':>8} {'peak':>11}"
    )
    # One thread, like TFLite-Micro. Children inherit it, and BLAS reads it when it is loaded.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    timings = []
    for model in model_files(parser, arguments.models):
        timings.append(measure(model, Accelerator(arguments.macs)))
        print(timings[-1], "" if timings[-1].kept else "  BROKEN PROMISE", flush=True)
    write_json(arguments.json, [{**vars(each), "kept": each.kept} for each in timings])
    return 0 if all(each.kept for each in timings) else 1


if __name__ == "__main__":
    sys.exit(main())
