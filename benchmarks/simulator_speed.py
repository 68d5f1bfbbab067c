"""Compare the simulator with TFLite-Micro and LiteRT: same models, same machine, same run.

`python -m benchmarks.simulator_speed MODELS...` takes quantised `.tflite` models, or directories of
them. For each it prints milliseconds per inference (in a batch of 256, and alone), what LiteRT with
XNNPACK takes, the ratios, milliseconds of preparation, what the first simulator of a process takes
in addition (with the process that makes the machine code), and the peak memory of a process that
only simulates, how that compares with NumPy's, and of the other. `--numpy` measures without
machine code.

The exit status is 1 if a promise is broken. In a batch of 256, the simulator is at least 10 times
as fast as TFLite-Micro, and takes at most 3 times as long as LiteRT; with `--numpy`, it is at least
as fast as TFLite-Micro. On processors with AVX-512 VNNI, a single inference takes at most as long
as TFLite-Micro's, the preparation at most 50 ms, and the first one at most 1 s more. The peak of
the memory is at most 1.05 times that of a simulation with NumPy, and never more than 128 MiB, for
models like MLPerf Tiny's.

Times are processor times. All run on one thread, so on a quiet machine they equal the wall time,
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
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.compiler import VelaOptions, compile_model
from bench.core.arrays import Array
from bench.tflite.model_file import inspect
from bench.tflite.random_inputs import random_inputs
from benchmarks.json_file import add_json_option, write_json
from benchmarks.model_files import add_models_argument, model_files
from benchmarks.peak_memory import peak_bytes
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.simulator.simulator import InnerLoops, Simulator

BATCH = 256
#: How many times as fast as TFLite-Micro, and as slow as LiteRT.
FASTER, SLOWER = 10.0, 3.0
PREPARE_LIMIT, FIRST_LIMIT = 50.0, 1000.0
MEMORY_LIMIT = 128 << 20
#: What machine code may add to the peak of a process that simulates with NumPy.
MEMORY_RATIO = 1.05
#: Each time is the best of this many, and of as many as take so many milliseconds.
REPEATS, REPEATED_MS = 5, 50.0
TFLM_ROWS = 16


@dataclass(frozen=True)
class Simulated:
    """Milliseconds."""

    batch: float
    single: float
    prepare: float
    #: What the first preparation of the process takes longer.
    first: float
    #: Whether machine code ran, and not NumPy.
    compiled: bool
    #: Whether that is the fastest there is.
    quads: bool


@dataclass(frozen=True)
class Peaks:
    """The most that processes held which prepare one model and run it, in bytes."""

    own: int
    #: Of the process that makes the machine code, which ends before the first run.
    compiler: int


@dataclass(frozen=True)
class Timing:
    """A model's times, milliseconds per inference, and its memory."""

    model: str
    tflm: float
    litert: float
    simulated: Simulated
    peaks: Peaks
    numpy_peaks: Peaks

    def __str__(self) -> str:
        own = self.simulated
        return (
            f"{self.model:24} {self.tflm:8.2f} {self.litert:8.4f} {own.batch:8.4f} "
            f"{self.tflm / own.batch:7.1f} x {own.batch / self.litert:7.2f} x "
            f"{own.single:8.2f} {own.single / self.tflm:7.2f} x {own.prepare:8.0f} "
            f"{own.first:7.0f} {self.peaks.own / 2**20:7.0f} MiB "
            f"{self.peaks.own / self.numpy_peaks.own:7.2f} x {self.peaks.compiler / 2**20:5.0f} MiB"
        )

    @property
    def broken(self) -> list[str]:
        """The promises that this model breaks."""
        own = self.simulated
        promises = {
            "memory": self.peaks.own <= min(MEMORY_LIMIT, MEMORY_RATIO * self.numpy_peaks.own),
            "batch": own.batch * (FASTER if own.compiled else 1) <= self.tflm,
        }
        if own.compiled:
            promises["LiteRT"] = own.batch <= SLOWER * self.litert
        if own.quads:
            promises |= {
                "single": own.single <= self.tflm,
                "prepare": own.prepare <= PREPARE_LIMIT,
                "first": own.first <= FIRST_LIMIT,
            }
        return [name for name, kept in promises.items() if not kept]


def best(run: Callable[[], object]) -> float:
    """Milliseconds of the fastest of several runs."""
    times: list[float] = []
    while len(times) < REPEATS or sum(times) < REPEATED_MS:
        start = time.process_time()
        run()
        times.append(1000 * (time.process_time() - start))
    return min(times)


def simulate(compiled: tuple[Path, ...], inputs: tuple[Array, ...], numpy: bool) -> Simulated:
    """Runs in its own process. The first of the files is simulated.

    The others, with the same layers, are prepared before: what is common to all is there then.
    """
    loops = InnerLoops.NUMPY if numpy else InnerLoops.FASTEST
    kernels = loops.kernels()
    times = []
    for path in (*compiled[1:], compiled[0]):
        start = time.process_time()
        simulator = Simulator(path, inner_loops=loops)
        times.append(1000 * (time.process_time() - start))
    one = [array[:1] for array in inputs]
    batch = best(lambda: simulator.run(inputs)) / len(inputs[0])
    single = best(lambda: simulator.run(one))
    others = resource.getrusage(resource.RUSAGE_CHILDREN)
    first = max(0.0, times[0] - times[-1]) + 1000 * (others.ru_utime + others.ru_stime)
    quads = kernels is not None and kernels.has_quads
    return Simulated(batch, single, times[-1], first, kernels is not None, quads)


def peaks(compiled: Path, inputs: tuple[Array, ...], loops: InnerLoops) -> Peaks:
    """Runs in its own process."""
    simulator = Simulator(compiled, inner_loops=loops)
    simulator.run(inputs)
    simulator.run([array[:1] for array in inputs])
    return Peaks(peak_bytes(), 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


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


def run_litert(model: Path, inputs: tuple[Array, ...]) -> float:
    """LiteRT's time for one inference in ms, with XNNPACK: in a batch, or else alone."""
    from ai_edge_litert.interpreter import Interpreter

    times = []
    for rows in (1, len(inputs[0])):
        interpreter = Interpreter(str(model), num_threads=1)
        details = interpreter.get_input_details()
        try:
            for detail, array in zip(details, inputs, strict=True):
                interpreter.resize_tensor_input(detail["index"], [rows, *array.shape[1:]])
            interpreter.allocate_tensors()
        except RuntimeError:
            # Some models have their batch of 1 in a shape.
            continue
        repetitions = TFLM_ROWS if rows == 1 else 1

        def run(
            interpreter: Interpreter = interpreter, rows: int = rows, again: int = repetitions
        ) -> None:
            for _ in range(again):
                for detail, array in zip(interpreter.get_input_details(), inputs, strict=True):
                    interpreter.set_tensor(detail["index"], array[:rows])
                interpreter.invoke()

        times.append(best(run) / (rows * repetitions))
    return min(times)


def measure(model: Path, accelerator: Accelerator, *, numpy: bool) -> Timing:
    """All of them, each in a process of its own. BLAS has as many threads there as
    `OPENBLAS_NUM_THREADS` says.
    """
    inputs = random_inputs(inspect(model), BATCH, seed=0)
    other = next(each for each in Accelerator if each is not accelerator)
    with tempfile.TemporaryDirectory() as directory:
        compiled = []
        for each in (accelerator, other):
            options = VelaOptions(accelerator=each, memory_mode=MemoryMode.SHARED_SRAM)
            place = Path(directory) / each.slug
            place.mkdir()
            compiled.append(compile_model(model, options, place).path(place))
        # One process each, so that their memory is not mixed up.
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            tflm = pool.apply(interpret, (model, inputs))
        with context.Pool(1) as pool:
            litert = pool.apply(run_litert, (model, inputs))
        with context.Pool(1) as pool:
            simulated = pool.apply(simulate, (tuple(compiled), inputs, numpy))
        memory = {}
        for loops in InnerLoops:
            with context.Pool(1) as pool:
                memory[loops] = pool.apply(peaks, (compiled[0], inputs, loops))
    own = memory[InnerLoops.NUMPY if numpy else InnerLoops.FASTEST]
    return Timing(model.stem, tflm, litert, simulated, own, memory[InnerLoops.NUMPY])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_models_argument(parser)
    parser.add_argument("--macs", type=int, default=128, choices=[int(a) for a in Accelerator])
    parser.add_argument("--numpy", action="store_true", help="without machine code")
    add_json_option(parser)
    arguments = parser.parse_args()
    print(
        f"{'ms per inference':24} {'TFLM':>8} {'LiteRT':>8} {f'x {BATCH}':>8} {'of TFLM':>9} "
        f"{'of LiteRT':>9} {'single':>8} {'of TFLM':>9} {'prepare':>8} {'first':>7} {'peak':>11} "
        f"{'of NumPy':>9} {'LLVM':>9}"
    )
    # One thread, like TFLite-Micro. Children inherit it, and BLAS reads it when it is loaded.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    timings = []
    for model in model_files(parser, arguments.models):
        timings.append(measure(model, Accelerator(arguments.macs), numpy=arguments.numpy))
        broken = timings[-1].broken
        print(timings[-1], f"  BROKEN PROMISE: {', '.join(broken)}" if broken else "", flush=True)
    write_json(arguments.json, [{**asdict(each), "broken": each.broken} for each in timings])
    return 1 if any(each.broken for each in timings) else 0


if __name__ == "__main__":
    sys.exit(main())
