"""Running one case, and judging what came of it."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BenchError
from bench.core.rows import row_shape
from targets.artefact import ModelTensor
from targets.artefact.disassembly import disassemble
from targets.artefact.errors import StreamError
from targets.ethos_u55.memory_modes import MemoryMode
from targets.simulator.simulator import InnerLoops, SimulationResult, Simulator
from targets.simulator.timing import named_profile
from tests.fuzz.cases import Case, Category

__all__ = ["Outcome", "described", "execute"]

#: Bytes of an input or output beyond which a model is run on one row only.
_LARGE = 1 << 22


@dataclass(frozen=True)
class Outcome:
    """What a case came to. `finding` is empty where that was as it should be."""

    number: int
    category: str
    #: `result`, or the class of the error.
    verdict: str
    finding: str
    #: On the processor; operators of the CPU run in another process.
    seconds: float


#: NumPy first: the guard sees where it reads and writes, but not where machine code does.
BOTH = (InnerLoops.NUMPY, InnerLoops.FASTEST)


def execute(case: Case, directory: Path, loops: tuple[InnerLoops, ...] = BOTH) -> Outcome:
    """Load, decode and run a case on two rows. Raises nothing but what ends the process."""
    path = directory / f"case{case.suffix}"
    path.write_bytes(case.data)
    started = time.process_time()
    finding = ""
    try:
        for one in loops:
            simulator = Simulator(path, inner_loops=one)
            finding = finding or _judge(simulator, np.random.default_rng(case.number))
        verdict = "result"
    except BenchError as error:
        verdict = type(error).__name__
        finding = _unnamed(error, case.category)
    except Exception as error:
        verdict = type(error).__name__
        finding = described(error)
    return Outcome(
        case.number, case.category.value, verdict, finding, time.process_time() - started
    )


def _unnamed(error: BenchError, category: Category) -> str:
    """What an error fails to say. One about a stream names the word and the operation."""
    if not str(error).strip():
        return "an error without a text"
    if isinstance(error, StreamError) and (error.word < 0 or not error.operation):
        return f"word {error.word} of {error.operation!r} is no place: {error}"
    if category is Category.STREAM and not isinstance(error, StreamError):
        return f"a damaged stream ends in {type(error).__name__}: {error}"
    return ""


def _judge(simulator: Simulator, random: np.random.Generator) -> str:
    artefact = simulator.artefact
    # `bench disasm` may not fail on it either.
    disassemble(artefact)
    rows = 2
    ends = (*artefact.inputs, *artefact.outputs)
    if max((artefact.tensors[i].size for i in ends), default=0) > _LARGE:
        rows = 1
    inputs = [_input(artefact.tensors[index], rows, random) for index in artefact.inputs]
    result = simulator.run(inputs)
    problem = _malformed(simulator, result, rows)
    if simulator.artefact.npu_operators:
        timing = simulator.timing(MemoryMode.SHARED_SRAM, named_profile("u55_high_end"))
        if not 0 <= timing.npu_active < float("inf"):
            return f"{timing.npu_active} cycles"
    if problem or rows == 1:
        return problem
    # A row by itself: it must not depend on its neighbours, nor on what memory held before.
    alone = simulator.run([array[1:] for array in inputs])
    for together, single in zip(result.outputs, alone.outputs, strict=True):
        if together[1:].tobytes() != single.tobytes():
            return "a row depends on something else than its inputs"
    return ""


def _malformed(simulator: Simulator, result: SimulationResult, rows: int) -> str:
    artefact = simulator.artefact
    wanted = [artefact.tensors[index] for index in artefact.outputs]
    got = [(array.dtype.name, array.shape) for array in result.outputs]
    if got != [(tensor.dtype, (rows, *row_shape(tensor))) for tensor in wanted]:
        return f"outputs of {got}"
    if len(result.counters) != 4 or min(result.counters.values()) < 0:
        return f"counters of {dict(result.counters)}"
    return ""


def _input(tensor: ModelTensor, rows: int, random: np.random.Generator) -> np.ndarray[Any, Any]:
    dtype = np.dtype(tensor.dtype)
    shape = (rows, *row_shape(tensor))
    if tensor.size > _LARGE or 0 in shape:
        return np.zeros(shape, dtype)
    count = int(np.prod(shape))
    return np.frombuffer(random.bytes(count * dtype.itemsize), dtype).reshape(shape)


def described(error: Exception) -> str:
    """The error and the innermost lines of its traceback."""
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__}: {error} at {places}"
