"""The child process of `bench.tflite.interpreters`: TFLite-Micro and LiteRT.

Each is imported when it is first needed. They trust their models: with a damaged operator they read
beyond its tensors, divide by zero or never end. Then only this process ends.
"""

from __future__ import annotations

import pickle
import struct
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from multiprocessing.connection import Connection

import numpy as np

from bench.core.arrays import Array

__all__ = ["ALIVE", "Answer", "Interpreter", "Outcome", "Request", "main"]

#: TFLite-Micro's arena in bytes. Only the pages that a model touches use memory, so the generous
#: size costs nothing, and no model has to be tried twice.
_TFLM_ARENA_BYTES = 256 << 20
#: Started interpreters that are kept: those of the CPU operators of a network. Their arenas count
#: as memory that this process may write.
_KEPT_INTERPRETERS = 4
#: Seconds after which a computing child says that it is alive.
_ALIVE_S = 1.0

#: The message that a step is done and the next has begun.
ALIVE = b""

# Raised by the interpreters when they refuse a model.
_REFUSALS = (RuntimeError, ValueError, IndexError, TypeError, AttributeError, struct.error)

#: The inputs of one step -> its outputs, by a started interpreter.
_Infer = Callable[[Sequence[Array]], list[Array]]


class Interpreter(Enum):
    """Who runs a model."""

    #: The kernels that run next to the NPU; they round twice, like Vela's streams on the NPU.
    TFLM = "TFLite-Micro"
    #: LiteRT's plain C++ kernels, equal on every machine; some round once.
    LITERT = "LiteRT"


@dataclass(frozen=True)
class Request:
    """A model and the rows on which to run it."""

    interpreter: Interpreter
    model: bytes
    #: One array `[rows, steps, *tensor shape]` for each model input. No arrays means no row. Each
    #: step of a row continues from the state of the last.
    inputs: tuple[Array, ...]
    #: How many outputs the model has.
    outputs: int
    #: Every row starts from the model's initial state.
    fresh: bool


class Outcome(Enum):
    """How a request ended, unless the child ended with it."""

    DONE = "done"
    #: The interpreter said that it will not run the model.
    REFUSED = "refused"
    #: The interpreter's package cannot be imported.
    ABSENT = "absent"


@dataclass(frozen=True)
class Answer:
    """The outputs, `[rows, steps, *tensor shape]` each, or why there are none."""

    outcome: Outcome
    outputs: tuple[Array, ...] = ()
    reason: str = ""


def main() -> None:
    """Answer requests until the connection ends."""
    client = Connection(int(sys.argv[-1]))
    while True:
        try:
            request: Request = pickle.loads(client.recv_bytes())
        except EOFError:
            return
        answer = _answer(request, _Pulse(client))
        client.send_bytes(pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL))


class _Pulse:
    """Reports from time to time that this process is making progress."""

    def __init__(self, client: Connection) -> None:
        self._client = client
        self._last = time.monotonic()

    def beat(self) -> None:
        now = time.monotonic()
        if now - self._last > _ALIVE_S:
            self._client.send_bytes(ALIVE)
            self._last = now


def _answer(request: Request, pulse: _Pulse) -> Answer:
    start = _start if request.fresh else _kept
    try:
        infer = start(request.interpreter, request.model, request.outputs)
        rows = []
        for number, row in enumerate(zip(*request.inputs, strict=True)):
            if request.fresh and number:
                # Neither interpreter's own reset restores what CALL_ONCE has initialised.
                infer = start(request.interpreter, request.model, request.outputs)
            steps = []
            for step in zip(*row, strict=True):
                pulse.beat()
                steps.append(infer([np.ascontiguousarray(value) for value in step]))
            rows.append([np.stack(column) for column in zip(*steps, strict=True)])
    except ImportError as error:
        return Answer(Outcome.ABSENT, reason=str(error))
    except _REFUSALS as error:
        return Answer(Outcome.REFUSED, reason=str(error))
    return Answer(Outcome.DONE, tuple(np.stack(column) for column in zip(*rows, strict=True)))


def _start(interpreter: Interpreter, model: bytes, outputs: int) -> _Infer:
    if interpreter is Interpreter.TFLM:
        return _start_tflm(model, outputs)
    return _start_litert(model)


_kept = lru_cache(maxsize=_KEPT_INTERPRETERS)(_start)


def _start_tflm(model: bytes, outputs: int) -> _Infer:
    from tflite_micro.python.tflite_micro import runtime

    started = runtime.Interpreter.from_bytes(model, arena_size=_TFLM_ARENA_BYTES)

    def infer(row: Sequence[Array]) -> list[Array]:
        for index, value in enumerate(row):
            started.set_input(value, index)
        started.invoke()
        return [started.get_output(index) for index in range(outputs)]

    return infer


def _start_litert(model: bytes) -> _Infer:
    from ai_edge_litert.interpreter import Interpreter as LiteRt
    from ai_edge_litert.interpreter import OpResolverType

    started = LiteRt(
        model_content=model,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
    )
    started.allocate_tensors()
    input_ids = [detail["index"] for detail in started.get_input_details()]
    output_ids = [detail["index"] for detail in started.get_output_details()]

    def infer(row: Sequence[Array]) -> list[Array]:
        for index, value in zip(input_ids, row, strict=True):
            started.set_tensor(index, value)
        started.invoke()
        return [started.get_tensor(index) for index in output_ids]

    return infer
