"""Machine code that another process makes: linked here, or refused, and the same bit for bit."""

from __future__ import annotations

import os
import platform
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from bench.compiler import VelaOptions, compile_model
from bench.tflite.model_file import inspect
from bench.tflite.random_inputs import random_inputs
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.simulator.native.elsewhere import CompilerProcess
from targets.simulator.native.flat import ObjectFileError, link
from targets.simulator.native.kernels import (
    Dot,
    Kernel,
    Multiplication,
    PairLookup,
    SliceScan,
    kernel_called,
)
from targets.simulator.native.self_check import is_right
from tests.support.bench_runs import ROOT
from tests.support.models.tflite_factory import mlp

pytest.importorskip("llvmlite", reason="the package llvmlite is missing: machine code NOT tested")
pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="object files are linked on x86-64 only: NOT tested here"
)

KERNELS: list[Kernel] = [
    SliceScan(),
    PairLookup(),
    *(
        Multiplication(dot, blocks, positions, signed)
        for dot in Dot
        for blocks, positions in ((1, 1), (1, 4), (2, 6), (4, 6))
        for signed in (True, False)
    ),
]
#: LLVM aborts where the processor lacks the instruction.
QUADS = [each for each in KERNELS if isinstance(each, Multiplication) and each.dot is Dot.QUADS]
#: By LLVM's names: the processor at hand, one with VNNI, one with AVX2, one with SSE2 alone.
PROCESSORS = ["", "cascadelake", "x86-64-v3", "x86-64"]


@cache
def objects_of(processor: str) -> dict[Kernel, bytes]:
    from targets.simulator.native.llvm import Llvm

    llvm = Llvm(processor or None, "pic")
    has_quads = processor == "cascadelake" or "avx512vnni" in llvm.features
    return {
        kernel: llvm.object_file(kernel) for kernel in KERNELS if has_quads or kernel not in QUADS
    }


def can_run(processor: str) -> bool:
    """Whether the processor at hand has what that one has."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    needs = {"cascadelake": "avx512vnni", "x86-64-v3": "avx2"}.get(processor, "sse2")
    return bool(features.get(needs))


@pytest.fixture
def process() -> Iterator[CompilerProcess]:
    made = CompilerProcess()
    yield made
    made.rest()


@pytest.mark.parametrize("processor", PROCESSORS)
def test_every_kernel_is_linked_and_computes_what_it_should(processor: str) -> None:
    """Also kernels that this processor cannot run: those are linked and no more."""
    for kernel, data in objects_of(processor).items():
        function = link(data, kernel.name).function()
        assert not can_run(processor) or is_right(kernel, function), kernel
        assert kernel_called(kernel.name) == kernel


def test_code_that_needs_something_from_outside_is_refused() -> None:
    import llvmlite.binding as llvm

    from targets.simulator.native.llvm import Llvm

    machine = Llvm(None, "pic").machine

    def made(text: str) -> bytes:
        return bytes(machine.emit_object(llvm.parse_assembly(text)))

    called = "declare void @memcpy(ptr, ptr, i64)\ndefine void @f(ptr %p) {\n"
    called += "call void @memcpy(ptr %p, ptr %p, i64 64)\nret void\n}\n"
    changed = "@n = global i64 1\ndefine void @f(ptr %p) {\nstore i64 2, ptr @n\nret void\n}\n"
    table = "@t = constant [2 x ptr] [ptr @f, ptr @f]\n"
    table += "define void @f(ptr %p) {\n%v = load ptr, ptr @t\nstore ptr %v, ptr %p\nret void\n}\n"
    for text in (called, changed, table):
        with pytest.raises(ObjectFileError):
            link(made(text), "f")
    nothing = made("define void @f(ptr %p) {\nret void\n}\n")
    link(nothing, "f").function()(0)
    with pytest.raises(ObjectFileError, match="no function g"):
        link(nothing, "g")


def test_a_damaged_object_file_is_an_error_or_a_block_of_the_same_size() -> None:
    """Nothing of it is executed here: only the reader is tried."""
    chance = random.Random(18)
    kernel = Multiplication(Dot.PAIRS, 2, 6, signed=True)
    sound = objects_of("")[kernel]
    size = len(link(sound, kernel.name).block)
    for _ in range(3000):
        data = bytearray(sound)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.choice([0, 1, 127, 255])
        cut = bytes(data[: chance.randrange(len(data))]) if chance.random() < 0.3 else bytes(data)
        try:
            program = link(cut, kernel.name)
        except ObjectFileError:
            continue
        assert 0 <= program.entry < len(program.block) <= size + 2 * len(sound)


def test_the_process_ends_when_it_may_rest_and_comes_back_when_it_is_needed(
    process: CompilerProcess,
) -> None:
    first = process.pid
    assert first is not None
    kernel = Multiplication(Dot.PAIRS, 1, 4, signed=True)
    function = process.function(kernel)
    process.rest()
    assert process.pid is None
    assert not Path(f"/proc/{first}").exists()
    # What it made stays, and is not made again.
    assert process.function(kernel) is function
    assert process.pid is None
    assert process.function(PairLookup()) is not None
    assert process.pid not in (None, first)


def test_a_kernel_that_llvm_dies_of_costs_itself_only(caplog: pytest.LogCaptureFixture) -> None:
    old = CompilerProcess("x86-64")
    try:
        assert not old.has_quads
        assert old.function(QUADS[0]) is None
        assert "SIGABRT" in caplog.text
        assert old.function(SliceScan()) is not None
    finally:
        old.rest()


def test_a_killed_process_costs_its_kernel_only(
    process: CompilerProcess, caplog: pytest.LogCaptureFixture
) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    assert process.function(PairLookup()) is None
    assert "NumPy does its work" in caplog.text
    assert process.function(SliceScan()) is not None


#: Simulates, and tells who makes the kernels and what is loaded.
PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from targets.simulator.simulator import InnerLoops, Simulator

loops = InnerLoops[sys.argv[3]]
arrays = np.load(sys.argv[2])
simulator = Simulator(Path(sys.argv[1]), inner_loops=loops)
outputs = simulator.run([arrays[name] for name in arrays.files]).outputs
kernels = loops.kernels()
np.savez(sys.argv[4], *outputs)
kind = type(kernels).__name__
both = any(" rwx" in line for line in open("/proc/self/maps", encoding="utf-8"))
print(kind, "llvmlite" in sys.modules, kernels is not None and kernels.pid, both)
"""


def test_a_simulator_loads_no_llvm_and_computes_the_same_bit_for_bit(tmp_path: Path) -> None:
    """No memory can be written and executed at a time."""
    generator = np.random.default_rng(7)
    weights = [
        generator.integers(-127, 128, shape, dtype=np.int8) for shape in ((32, 40), (10, 32))
    ]
    source = tmp_path / "net.tflite"
    source.write_bytes(mlp(weights))
    options = VelaOptions(accelerator=Accelerator(64), memory_mode=MemoryMode.SHARED_SRAM)
    compiled = compile_model(source, options, tmp_path).path(tmp_path)
    given = tmp_path / "inputs.npz"
    np.savez(given, *random_inputs(inspect(source), 50, seed=1))
    told = {}
    for loops in ("FASTEST", "NUMPY"):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, compiled, given, loops, tmp_path / f"{loops}.npz"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
        told[loops] = done.stdout.split()
    assert told == {
        "FASTEST": ["CompilerProcess", "False", "None", "False"],
        "NUMPY": ["NoneType", "False", "False", "False"],
    }
    fast, slow = (np.load(tmp_path / f"{loops}.npz") for loops in told)
    assert fast.files == slow.files
    for name in fast.files:
        assert np.array_equal(fast[name], slow[name])
