"""The reference interpreters in a process of their own.

They trust their models: a damaged operator makes them read beyond its tensors, divide by zero or
never end. So they run in a child, whose death costs one run and no more. Every request carries its
model, so that nothing is lost with a child; the child keeps the interpreters it has started last.

Both directions carry pickles, each behind its length in 8 bytes.
"""

from __future__ import annotations

import atexit
import os
import pickle
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from enum import Enum
from functools import cache, lru_cache
from typing import Any, BinaryIO

import numpy as np

from bench.core.arrays import Array
from bench.core.children import python_command

__all__ = ["Answer", "InterpreterProcess", "Verdict", "serve", "shared_process"]

_Infer = Callable[[Sequence[Array]], list[Array]]

_TFLM_ARENA_BYTES = 64 << 20
_LENGTH_BYTES = 8
_KEPT_INTERPRETERS = 8
#: Seconds: until a child has imported its interpreters; for a request; for each of its rows.
_START_S, _REQUEST_S, _ROW_S = 60.0, 5.0, 2.0
# What the interpreters raise when they refuse a model.
_REFUSALS = (RuntimeError, ValueError, IndexError, TypeError)


class Verdict(Enum):
    """How a request ended."""

    DONE = "done"
    #: No interpreter takes the model.
    REFUSED = "refused"
    #: An interpreter took it and failed.
    FAILED = "failed"


#: The outputs, `[rows, ...]` each, or why there are none.
Answer = tuple[Verdict, list[Array], str]


class InterpreterProcess:
    """A child, started when it is first needed and again when it has died. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def run(self, model: bytes, inputs: Sequence[Array], outputs: int) -> Answer:
        """Run a `.tflite` on rows of inputs, one array `[rows, ...]` each.

        No inputs at all: only see whether an interpreter takes the model.
        """
        rows = len(inputs[0]) if inputs else 0
        with self._lock:
            try:
                child = self._started()
                _send(child.stdin, (model, list(inputs), outputs))
                answer: Answer = _receive(child.stdout, _REQUEST_S + rows * _ROW_S)
            except (OSError, EOFError, pickle.UnpicklingError) as error:
                return Verdict.FAILED, [], f"the interpreter {self._end() or error}"
            return answer

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._end()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            self._child = subprocess.Popen(
                python_command(f"from {__name__} import serve\nserve()"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            _receive(self._child.stdout, _START_S)
        return self._child

    def _end(self) -> str:
        """End the child; how it had ended by itself, empty if it had not."""
        child, self._child = self._child, None
        if child is None:
            return ""
        try:
            # Its output may close a moment before it can be waited for.
            status: int | None = child.wait(timeout=1)
        except subprocess.TimeoutExpired:
            status = None
            child.kill()
        child.communicate()
        return "" if status is None else f"process ended with status {status}"


@cache
def shared_process() -> InterpreterProcess:
    """One child for the whole process; importing the interpreters takes it a second."""
    process = InterpreterProcess()
    atexit.register(process.close)
    return process


def _send(stream: BinaryIO | Any, message: object) -> None:
    content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(len(content).to_bytes(_LENGTH_BYTES, "little") + content)
    stream.flush()


def _receive(stream: BinaryIO | Any, patience_s: float | None = None) -> Any:
    """The next message. Raises `EOFError` at the end, `TimeoutError` after `patience_s`."""
    if patience_s is not None and not select.select([stream], [], [], patience_s)[0]:
        raise TimeoutError(f"gave no answer in {patience_s:.0f} s")
    head = stream.read(_LENGTH_BYTES)
    content = stream.read(int.from_bytes(head, "little")) if len(head) == _LENGTH_BYTES else b""
    if not content:
        raise EOFError("gave no answer")
    return pickle.loads(content)


def serve() -> None:
    """The child's life: answers requests until its input ends."""
    # What the interpreters print must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    starters = _starters()
    start = lru_cache(maxsize=_KEPT_INTERPRETERS)(lambda *key: _start(starters, *key))
    _send(answers, "ready")
    while True:
        try:
            model, inputs, outputs = _receive(sys.stdin.buffer)
        except EOFError:
            return
        _send(answers, _answer(start, model, inputs, outputs))


def _answer(
    start: Callable[[bytes, int], _Infer], model: bytes, inputs: list[Array], outputs: int
) -> Answer:
    try:
        infer = start(model, outputs)
    except _REFUSALS as error:
        return Verdict.REFUSED, [], str(error)
    if not inputs:
        return Verdict.DONE, [], ""
    try:
        rows = [
            infer([np.ascontiguousarray(value) for value in row])
            for row in zip(*inputs, strict=True)
        ]
        return Verdict.DONE, [np.stack(columns) for columns in zip(*rows, strict=True)], ""
    except (*_REFUSALS, MemoryError) as error:
        return Verdict.FAILED, [], str(error)


def _starters() -> list[Callable[[bytes, int], _Infer] | str]:
    """TFLite-Micro and LiteRT; for one that cannot be imported, why."""
    found: list[Callable[[bytes, int], _Infer] | str] = []
    for make in (_tflm, _litert):
        try:
            found.append(make())
        except ImportError as error:
            found.append(str(error))
    return found


def _start(
    starters: list[Callable[[bytes, int], _Infer] | str], model: bytes, outputs: int
) -> _Infer:
    """The first interpreter that takes the model. Raises `RuntimeError` if none does."""
    problems = []
    for start in starters:
        if isinstance(start, str):
            problems.append(start)
            continue
        try:
            return start(model, outputs)
        except _REFUSALS as error:
            problems.append(str(error))
    raise RuntimeError("; ".join(problems))


def _tflm() -> Callable[[bytes, int], _Infer]:
    from tflite_micro.python.tflite_micro import runtime

    def start(model: bytes, outputs: int) -> _Infer:
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=_TFLM_ARENA_BYTES)

        def infer(inputs: Sequence[Array]) -> list[Array]:
            for index, value in enumerate(inputs):
                interpreter.set_input(value, index)
            interpreter.invoke()
            return [interpreter.get_output(index) for index in range(outputs)]

        return infer

    return start


def _litert() -> Callable[[bytes, int], _Infer]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    def start(model: bytes, _: int) -> _Infer:
        interpreter = Interpreter(
            model_content=model,
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        )
        interpreter.allocate_tensors()
        input_ids = [detail["index"] for detail in interpreter.get_input_details()]
        output_ids = [detail["index"] for detail in interpreter.get_output_details()]

        def infer(inputs: Sequence[Array]) -> list[Array]:
            for index, value in zip(input_ids, inputs, strict=True):
                interpreter.set_tensor(index, value)
            interpreter.invoke()
            return [interpreter.get_tensor(index) for index in output_ids]

        return infer

    return start
