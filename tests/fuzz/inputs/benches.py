"""Whole benches, as their users run them, on a damaged model."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from bench.core.errors import BenchError
from bench.core.processes import Bounds, TimedOutError, run_to_end
from bench.tflite.model_file import load_quantised
from tests.fuzz.inputs.user_files import mutate_model
from tests.fuzz.seeds import Seed

__all__ = ["BENCH_SECONDS", "BENCH_TOML", "bench_case", "run_bench"]

Random = np.random.Generator

_ROOT = Path(__file__).parents[3]
#: A bench takes seconds; the rest is for a machine that is busy with other things.
BENCH_SECONDS = 300.0
#: Mutants that are looked at for one that is not refused at the door, as most are.
_TRIES = 20
#: Each process of it.
_MEMORY_BYTES = 4 << 30

BENCH_TOML = """
[grid]
macs = [32, 256]
memory_modes = ["Shared_Sram"]
targets = ["sim"]

[vela]
timeout_s = 60

[workloads.mine]
model = "model.tflite"
random_inputs = 3
expect_bound = { Shared_Sram = "memory" }

[[workloads.mine.limits]]
metric = "npu_cycles"
max = 100_000_000

[[workloads.mine.limits]]
metric = "reference_mismatches"
max = 0

[[workloads.mine.limits]]
metric = "device_model_kib"
max = 0.5
"""


def bench_case(
    models: tuple[Seed, ...], directory: Path, random: Random
) -> tuple[str, Callable[[], str]]:
    """A damaged model in `directory` that the bench takes, if one is soon found; and its run."""
    path = directory / "model.tflite"
    for _ in range(_TRIES):
        what, data = mutate_model(models[int(random.integers(len(models)))], random)
        path.write_bytes(data)
        with contextlib.suppress(BenchError):
            load_quantised(path)
            break
    (directory / "bench.toml").write_text(BENCH_TOML, encoding="utf-8")
    workers = str(int(random.choice([0, 2])))
    return f"-n {workers}, {what}", lambda: _judge(directory, workers)


def run_bench(directory: Path, workers: str) -> tuple[int, str]:
    """Exit status and output of the bench of `directory`. Raises `TimedOutError`."""
    command = [
        *(sys.executable, "-m", "pytest", "-n", workers),
        *("-p", "no:cacheprovider", "-p", "no:hypothesispytest"),
        f"--bench-config={directory / 'bench.toml'}",
        f"--bench-cache={directory / 'cache'}",
        f"--bench-results={directory / 'results'}",
    ]
    # A test under xdist must not make the bench it starts believe to be a worker.
    kept = {k: v for k, v in os.environ.items() if not re.match("PYTEST_|XDIST", k)}
    ended = run_to_end(
        command,
        Bounds(BENCH_SECONDS, _MEMORY_BYTES),
        cwd=_ROOT,
        environment=kept,
    )
    return ended.status, ended.output + ended.errors


def _judge(directory: Path, workers: str) -> str:
    try:
        status, output = run_bench(directory, workers)
    except TimedOutError as late:
        return f"a bench that does not end; it had said:\n{str(late)[-3000:]}"
    if status not in (0, 1, 4):
        return f"a bench ended with status {status}:\n{output[-3000:]}"
    for word in ("Traceback", "INTERNALERROR", "node down", "crashed while running"):
        if word in output:
            at = output.index(word)
            return f"{word} in the output of a bench:\n{output[max(0, at - 300) : at + 2500]}"
    if status == 4:
        return ""
    return _without_junit(directory / "results" / "latest", output)


def _without_junit(run: Path, output: str) -> str:
    """What is wrong with the reports of a run in which tests ran; empty where nothing is."""
    for name in ("junit.xml", "pytest.xml"):
        try:
            cases = list(ElementTree.parse(run / name).iter("testcase"))
        except (OSError, ElementTree.ParseError) as error:
            return f"{name}: {error}; the bench said:\n{output[-2000:]}"
        if not cases:
            return f"{name} has no case; the bench said:\n{output[-2000:]}"
    return ""
