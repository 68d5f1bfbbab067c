"""Vela and the reference interpreter in one child process that survives from case to case.

Vela as a command costs half a second of Python start-up for a few milliseconds of compiling.
Its compiler core runs in-process as well, but a crash in it (or in TFLite-Micro, which trusts
its models) would take the test worker down and hypothesis' shrinking with it; so both run in a
child, which is replaced when it dies. `test_toolchain.py` proves that what is compiled here is
what `bench.compiler.compile_model` writes.
"""

from __future__ import annotations

import atexit
import functools
import multiprocessing
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bench.compiler import VelaOptions
from bench.core.arrays import Array
from bench.core.errors import CompilerError
from bench.tflite.interpreters import run_litert, run_tflm
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode

__all__ = ["CONFIGURATIONS", "Oracle", "Reference", "build", "children"]

#: Seconds that one case may take before the child is given up.
_PATIENCE_S = 120

#: Every accelerator in every memory mode, once for speed and once for size.
CONFIGURATIONS = tuple(
    VelaOptions(accelerator=accelerator, memory_mode=mode, optimise=optimise)
    for optimise in ("Performance", "Size")
    for mode in MemoryMode
    for accelerator in Accelerator
)


class Oracle(str, Enum):
    """Who gives the expected outputs."""

    TFLM = "tflm"
    #: LiteRT's reference kernels, for what TFLite-Micro does not compute in integers.
    LITERT = "litert"


@dataclass(frozen=True)
class Reference:
    """What a case's model must answer, and what Vela made of it (one file an option set)."""

    outputs: tuple[Array, ...]
    compiled: tuple[bytes, ...]


def build(
    model: Path,
    inputs: tuple[Array, ...],
    options: tuple[VelaOptions, ...],
    oracle: Oracle = Oracle.TFLM,
) -> Reference:
    """Run the model in the oracle and compile it with every option set, in the child.

    Raises what `run_tflm` raises, and `CompilerError` when the child dies or hangs.
    """
    future: Future[Reference] = _pool().submit(_work, model, inputs, options, oracle)
    try:
        return future.result(timeout=_PATIENCE_S)
    except (BrokenProcessPool, TimeoutError) as error:
        _end(_pool())
        _pool.cache_clear()
        raise CompilerError(
            f"Vela's compiler core or the oracle crashed or hung on {model}: {error!r}",
            cure="run `vela` on the file by hand",
        ) from error


@functools.cache
def _pool() -> ProcessPoolExecutor:
    pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    atexit.register(_end, pool)
    return pool


def children() -> tuple[int, ...]:
    """Process ids of the child, if there is one."""
    return tuple(_pool()._processes or ())


def _end(pool: ProcessPoolExecutor) -> None:
    # A child that hangs would be waited for at the interpreter's exit.
    for process in list((pool._processes or {}).values()):
        process.kill()
    pool.shutdown(wait=False, cancel_futures=True)


def _work(
    path: Path, inputs: tuple[Array, ...], options: tuple[VelaOptions, ...], oracle: Oracle
) -> Reference:
    run = {Oracle.TFLM: run_tflm, Oracle.LITERT: run_litert}[oracle]
    outputs = run(path, inputs)
    model = path.read_bytes()
    return Reference(outputs, tuple(compile_in_process(model, option) for option in options))


def compile_in_process(model: bytes, options: VelaOptions) -> bytes:
    """What `vela` writes for `model`: the command's configuration text, given to its core."""
    from ethosu import regor

    compiled = regor.compile(
        "EthosU55", model, "TFLITE", _architecture(options), options=_settings(options)
    )
    return bytes(compiled.model)


@functools.cache
def _architecture(options: VelaOptions) -> str:
    head = (
        f"[architecture]\nmacs={int(options.accelerator)}\ncores=1\n"
        f"[vela]\nsystem_config_name={options.system_config}\n"
        f"memory_mode_name={options.memory_mode.value}\n"
    )
    return head + _bundled_configuration()


@functools.cache
def _bundled_configuration() -> str:
    import ethosu

    (package,) = ethosu.__path__
    return (Path(package) / "config_files" / "Arm" / "vela.ini").read_text("utf-8")


def _settings(options: VelaOptions) -> str:
    # The command's defaults, as it hands them over; the arena limit is the default of memory
    # modes without one of their own (both modes of the Ethos-U55).
    return (
        "\n[compiler]\noutput_format=TFLite\ncop_format=COP1\n"
        f"\n[scheduler]\noptimize={options.optimise}\narena_size_limit=4294967296\n"
        "disable_feature=\ncpu_tensor_alignment=16\ntensor_allocator=HillClimb\n"
        "\n[graph]\nsoftmax_int16_neg_exp_range=10.0\n"
    )
