"""What a fresh process has loaded after importing a part of the product."""

from __future__ import annotations

import subprocess
import sys

from tests.support.bench_runs import ROOT


def loaded(statements: str) -> set[str]:
    """The modules in a process that has run `statements`."""
    code = f"{statements}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_client_of_the_builder_imports_no_heavy_library() -> None:
    found = loaded(
        "import models.service, models.recipes, models.data\nmodels.data.load(models.data.SUBSET)"
    )
    assert "models.data" in found
    heavy = {"tensorflow", "tf_keras", "keras", "tensorflow_model_optimization"}
    assert found & (heavy | {"sklearn", "pandas", "scipy"}) == set()


def test_inspection_needs_no_interpreter_and_no_tensorflow() -> None:
    found = loaded(
        "import bench.tflite.model_file, bench.tflite.interpreters, bench.measuring.datasets"
    )
    assert "bench.tflite.interpreters" in found
    assert found & {"tensorflow", "tflite_micro", "ai_edge_litert.interpreter"} == set()


def test_the_simulator_loads_llvm_when_it_makes_machine_code() -> None:
    found = loaded("import targets.simulator.simulator")
    assert "targets.simulator.native.choice" in found
    assert found & {"llvmlite", "llvmlite.binding"} == set()


def test_without_llvmlite_the_simulator_computes_with_numpy() -> None:
    code = (
        "import sys, logging\n"
        "logging.basicConfig(level=logging.INFO, stream=sys.stdout)\n"
        "class Without:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.startswith('llvmlite'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Without())\n"
        "from targets.simulator.native.choice import InnerLoops\n"
        "print(InnerLoops.FASTEST.kernels())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "llvmlite is not installed" in done.stdout
    assert done.stdout.endswith("None\n")
