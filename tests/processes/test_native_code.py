"""Whoever lets an interpreter run has none of its native code, and survives whatever it does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.core.processes import Bounds, run_to_end
from tests.support.bench_runs import ROOT
from tests.support.models import deadly
from tests.support.models.foldable import flattened
from tests.support.models.tflite_factory import Op, Tensor, single_operator

#: Lets the model at `path` run in one of the ways the bench has, and tells what came of it.
PROGRAM = """
import sys
from pathlib import Path
from bench.core.errors import BenchError
from bench.tflite.folding import fold
from bench.tflite.interpreters import run_litert, run_tflm
from bench.tflite.model_file import inspect
from bench.tflite.random_inputs import random_inputs
from bench.tflite.reader import read_graph
from bench.tflite.reference import ReferenceRunner
from targets.simulator.simulator import Simulator

path = Path(sys.argv[1])
inputs = random_inputs(inspect(path), 2, seed=1)
try:
    found = {way}
except BenchError as error:
    found = error.what
print(found if isinstance(found, str) and found else "it ran")
loaded = [name for name in sys.modules if name.startswith(("tflite_micro", "ai_edge_litert.i"))]
print(*loaded, sep=", ")
"""
WAYS = {
    "reference": "ReferenceRunner()(path, inputs).absent",
    "TFLite-Micro": "run_tflm(path, inputs)",
    "LiteRT": "run_litert(path, inputs)",
    "CPU operator": "Simulator(path).run(inputs)",
    "folding": "fold(read_graph(path), path)",
}


def told(way: str, model: bytes, directory: Path) -> list[str]:
    """What a process that lets `model` run says of it, and which interpreters it has loaded."""
    path = directory / "net.tflite"
    path.write_bytes(model)
    program = PROGRAM.format(way=WAYS[way])
    done = run_to_end([sys.executable, "-c", program, str(path)], Bounds(120), cwd=ROOT)
    assert done.status == 0, done.errors
    return done.output.splitlines()


def rectifier() -> bytes:
    tensors = [Tensor(name, (1, 8), scale=0.5) for name in ("x", "y")]
    return single_operator(Op("RELU", (0,), (1,)), tensors[:1], tensors[1:])


@pytest.mark.parametrize("way", WAYS)
def test_the_caller_has_no_interpreter_loaded(way: str, tmp_path: Path) -> None:
    model = flattened() if way == "folding" else rectifier()
    assert told(way, model, tmp_path) == ["it ran", ""]


@pytest.mark.parametrize("way", ["reference", "TFLite-Micro", "CPU operator"])
@pytest.mark.parametrize(
    ("model", "end"),
    [(deadly.softmax_of_nothing(), "SIGABRT"), (deadly.lost_bias(), "SIGSEGV")],
    ids=["SIGABRT", "SIGSEGV"],
)
def test_the_caller_outlives_a_crash_and_names_it(
    way: str, model: bytes, end: str, tmp_path: Path
) -> None:
    said, loaded = told(way, model, tmp_path)
    assert f"TFLite-Micro ended with {end}" in said
    assert loaded == ""
