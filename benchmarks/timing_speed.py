"""What an estimate of the cycles costs, compared with executing one inference.

`python -m benchmarks.timing_speed MODELS...` takes quantised `.tflite` models, or directories of
them. For each, at 128 MACs and at the MAC count with the worst ratio (or only at that of `--macs`),
it prints the CPU time of one inference and of one estimate in milliseconds. It does so twice: for
the first ones of a simulator (which count traffic and prepare the blocks' work for the estimate),
and for later ones. The exit status is 1 if a promise is broken: an estimate takes at most twice the
time of an inference, the first compared with the first, a later one with a later one.
"""

from __future__ import annotations

import argparse
import os
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
from targets.artefact import load_artefact
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.simulator.simulator import Simulator
from targets.simulator.timing import named_profile

#: An estimate may take the time of this many inferences.
LIMIT = 2.0
#: Each time is the best of this many.
REPEATS = 7
MODE = MemoryMode.SHARED_SRAM
PROFILE = named_profile("u55_high_end")


@dataclass(frozen=True)
class Cost:
    """Milliseconds of CPU time."""

    model: str
    macs: Accelerator
    first_run: float
    first_estimate: float
    run: float
    estimate: float

    @property
    def worst(self) -> float:
        """The larger of the two ratios of estimate to inference."""
        return max(self.first_estimate / self.first_run, self.estimate / self.run)

    def __str__(self) -> str:
        return (
            f"{self.model:24} {int(self.macs):4} "
            f"{self.first_run:9.2f} {self.first_estimate:9.2f} "
            f"{self.first_estimate / self.first_run:6.2f} x "
            f"{self.run:9.2f} {self.estimate:9.2f} {self.estimate / self.run:6.2f} x"
        )


def measure(model: Path, macs: Accelerator, repeats: int) -> Cost:
    """The costs of run and estimate for `model`, compiled for `macs`."""
    inputs = random_inputs(inspect(model), 1, seed=0)
    with tempfile.TemporaryDirectory() as directory:
        options = VelaOptions(accelerator=macs, memory_mode=MODE)
        path = compile_model(model, options, Path(directory)).path(Path(directory))
        artefact = load_artefact(path)
    first = [_first(Simulator(artefact), inputs) for _ in range(repeats)]
    simulator = Simulator(artefact)
    return Cost(
        model.stem,
        macs,
        min(run for run, _ in first),
        min(estimate for _, estimate in first),
        min(_time(lambda: simulator.run(inputs)) for _ in range(repeats)),
        min(_time(lambda: simulator.timing(MODE, PROFILE)) for _ in range(repeats)),
    )


def _first(simulator: Simulator, inputs: tuple[Array, ...]) -> tuple[float, float]:
    """The first inference of a simulator, then its first estimate."""
    run = _time(lambda: simulator.run(inputs))
    return run, _time(lambda: simulator.timing(MODE, PROFILE))


def _time(work: Callable[[], object]) -> float:
    """Milliseconds of this process's CPU time."""
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start)


def _costs(model: Path, macs: int | None, repeats: int) -> list[Cost]:
    """The costs at `macs`; without it, at 128 MACs and at the worst ratio."""
    if macs is not None:
        return [measure(model, Accelerator(macs), repeats)]
    costs = {each: measure(model, each, repeats) for each in Accelerator}
    worst = max(costs.values(), key=lambda cost: cost.worst)
    return list(dict.fromkeys((costs[Accelerator.U55_128], worst)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_models_argument(parser)
    parser.add_argument("--macs", type=int, choices=[int(a) for a in Accelerator])
    parser.add_argument(
        "--repeats", type=int, default=REPEATS, help="each time is the best of this many"
    )
    add_json_option(parser)
    arguments = parser.parse_args()
    print(
        f"{'ms of CPU time':24} {'MACs':>4} {'1st run':>9} {'estimate':>9} {'ratio':>8} "
        f"{'run':>9} {'estimate':>9} {'ratio':>8}"
    )
    shown = []
    for model in model_files(parser, arguments.models):
        for cost in _costs(model, arguments.macs, arguments.repeats):
            print(cost, " BROKEN PROMISE" if cost.worst > LIMIT else "", flush=True)
            shown.append(cost)
    write_json(arguments.json, [{**vars(cost), "worst": cost.worst} for cost in shown])
    return 0 if all(cost.worst <= LIMIT for cost in shown) else 1


if __name__ == "__main__":
    # One thread: more of them would only spin, and that would count as CPU time.
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.timing_speed", *sys.argv[1:]])
    sys.exit(main())
