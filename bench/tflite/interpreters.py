"""The interpreters: the right answers of a quantised model, computed on this machine.

TFLite-Micro is the reference for bit-exactness: its kernels round twice, like the compiled stream.
LiteRT rounds once in some kernels, so single elements differ by one.

Both are native code that trusts its model. So they run in a child process (`interpreter_worker`),
whose death costs only one answer. Every request carries its model, so nothing is lost with a child.
"""

from __future__ import annotations

import atexit
import math
import os
import pickle
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from bench.core.arrays import Array, join_parts, row_slices
from bench.core.errors import BenchError, ModelError, PrerequisiteError
from bench.core.processes import Bounds, memory_words
from bench.core.processes.children import python_command
from bench.core.processes.closing import Closing
from bench.core.processes.servers import Conversation, End, LostError, Server
from bench.core.rows import MISFIT_CURE, leading_of, misfit, row_shape
from bench.core.text import one_line
from bench.tflite.interpreter_worker import ALIVE, Answer, Interpreter, Outcome, Request
from bench.tflite.model_file import TensorInfo, inspect

__all__ = [
    "INTERPRETER_BOUNDS",
    "DiedError",
    "Interpreter",
    "InterpreterError",
    "Interpreters",
    "RefusedError",
    "Request",
    "run_litert",
    "run_model",
    "run_tflm",
    "shared_interpreters",
    "tensor_bytes",
]

#: The time is for one inference: networks for an Ethos-U55 take seconds. The memory holds the
#: arenas of all interpreters that are kept, and the rows of a request.
INTERPRETER_BOUNDS = Bounds(seconds=120, memory_bytes=4 << 30)

_CHILD = python_command(f"from {__package__}.interpreter_worker import main\nmain()")
#: How much of an interpreter's own message is shown.
_WORDS_LINES, _WORDS_LENGTH = 3, 300
#: Inputs and outputs of one request, in bytes, if it has more than one row.
_REQUEST_BYTES = 8 << 20
_PACKAGES = {
    Interpreter.TFLM: "pip install --pre tflite-micro",
    Interpreter.LITERT: "pip install ai-edge-litert",
}


class InterpreterError(ModelError):
    """An interpreter does not run a model. `reason` says why, without naming either."""

    def __init__(self, what: str, interpreter: Interpreter, reason: str, cure: str) -> None:
        super().__init__(what, cure=cure)
        self.interpreter = interpreter
        self.reason = reason


class RefusedError(InterpreterError):
    """The interpreter itself refuses: it lacks an operator, or does not know an option."""

    def __init__(self, interpreter: Interpreter, reason: str, model: str = "the model") -> None:
        super().__init__(
            f"{interpreter.value} cannot run {model}: {reason}",
            interpreter,
            reason,
            "models with operators that it lacks, such as Vela's, cannot be run here",
        )


class DiedError(InterpreterError):
    """The model ended the interpreter: by a crash, by its time limit, or by its memory limit."""

    def __init__(
        self, interpreter: Interpreter, reason: str, end: End, model: str = "the model"
    ) -> None:
        super().__init__(
            f"{interpreter.value} {reason} on {model}",
            interpreter,
            reason,
            "the model may be damaged: convert it again",
        )
        self.end = end


class Interpreters(Closing):
    """The child process that runs models, started when it is first needed. Thread-safe.

    Use as a context manager; leaving it ends the child.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server = Server(
            # Models are small; threads would cost more than they save, and memory each.
            _CHILD,
            environment={"OPENBLAS_NUM_THREADS": "1"},
        )

    @property
    def pid(self) -> int | None:
        """The child, or None while there is none."""
        return self._server.pid

    def close(self) -> None:
        """End the child, if there is one."""
        with self._lock:
            self._server.close()

    def run(self, request: Request, bounds: Bounds = INTERPRETER_BOUNDS) -> tuple[Array, ...]:
        """The outputs, one array `[rows, steps, *tensor shape]` each; none if there is no row.

        `bounds.seconds` are for each step. Raises `RefusedError` and `DiedError`;
        `PrerequisiteError` when the interpreter is not installed, and `BenchError` when somebody
        else has ended the child.
        """
        try:
            answer = self._ask(request, bounds)
        except LostError as error:
            raise DiedError(request.interpreter, _how(error, bounds), error.end) from error
        if answer.outcome is Outcome.ABSENT:
            raise PrerequisiteError(
                f"{request.interpreter.value} cannot be imported: {answer.reason}",
                cure=_PACKAGES[request.interpreter],
            )
        if answer.outcome is Outcome.REFUSED:
            raise RefusedError(request.interpreter, answer.reason)
        return answer.outputs

    def _ask(self, request: Request, bounds: Bounds) -> Answer:
        """Try twice if the child was ended from outside, because that is not an answer."""
        with self._lock:
            try:
                return self._converse(request, bounds)
            except LostError as error:
                if error.end is not End.OUTSIDE:
                    raise
            try:
                return self._converse(request, bounds)
            except LostError as error:
                if error.end is not End.OUTSIDE:
                    raise
                raise BenchError(
                    f"the process of {request.interpreter.value} {error.how}, and so did another",
                    cure="if memory ran out, run fewer workers at a time",
                ) from error

    def _converse(self, request: Request, bounds: Bounds) -> Answer:
        with self._server.conversation(bounds.memory_bytes) as child:
            child.send(pickle.dumps(request, protocol=pickle.HIGHEST_PROTOCOL), bounds.seconds)
            while (message := child.receive(bounds.seconds)) == ALIVE:
                pass
            answer: Answer = pickle.loads(message)
            if answer.outcome is Outcome.REFUSED and child.is_starved:
                raise LostError(End.OUTSIDE, "has less memory than the bench gave it", child.words)
            if answer.outcome is Outcome.REFUSED:
                # Standard error has the reason; the exception only says that there is one.
                reason = _said(child) or one_line(answer.reason) or "it gave no reason"
                return Answer(Outcome.REFUSED, reason=reason)
            return answer


def run_model(
    interpreter: Interpreter,
    path: Path,
    inputs: Sequence[Array],
    bounds: Bounds = INTERPRETER_BOUNDS,
) -> tuple[Array, ...]:
    """Run the model at `path`, one row after another.

    `inputs` has one array `[n, ...]` for each model input, in the model's own shape and dtype, or
    `[n, steps, ...]` for streams; the outputs have the same form. A model that keeps state
    (variables) gets a new interpreter for every row or stream, so an answer does not depend on
    earlier ones; the steps of a stream continue from each other.

    Raises `ModelError` when the file is damaged or the inputs do not fit, and what
    `Interpreters.run` raises.
    """
    model = inspect(path)
    problem = misfit(model.inputs, inputs)
    if problem:
        raise ModelError(f"{path}: {problem}", cure=MISFIT_CURE)
    leading = inputs[0].shape[: len(leading_of(model.inputs, inputs))]
    largest = max(map(tensor_bytes, model.tensors))
    if bounds.memory_bytes is not None and largest > bounds.memory_bytes:
        # An interpreter that gets no memory does not say that this was the reason.
        reason = (
            f"wants more memory than the {memory_words(bounds.memory_bytes)} it may have, "
            f"{memory_words(largest)} for one tensor,"
        )
        raise DiedError(interpreter, reason, End.MEMORY, str(path))
    whole = Request(
        interpreter=interpreter,
        model=path.read_bytes(),
        inputs=tuple(
            array.reshape(leading[0], math.prod(leading[1:]), *tensor.shape)
            for tensor, array in zip(model.inputs, inputs, strict=True)
        ),
        outputs=len(model.outputs),
        fresh=model.has_state,
    )
    row_bytes = math.prod(leading[1:]) * sum(map(tensor_bytes, (*model.inputs, *model.outputs)))
    try:
        outputs = join_parts(leading[0], _answers(whole, row_bytes, bounds))
    except RefusedError as error:
        raise RefusedError(interpreter, error.reason, str(path)) from error
    except DiedError as error:
        raise DiedError(interpreter, error.reason, error.end, str(path)) from error
    return tuple(
        answer.reshape(*leading, *row_shape(tensor))
        for tensor, answer in zip(model.outputs, outputs, strict=True)
    )


def _answers(
    whole: Request, row_bytes: int, bounds: Bounds
) -> Iterator[tuple[slice, tuple[Array, ...]]]:
    """The outputs of some rows each: a request and its answer are in memory several times."""
    for part in row_slices(len(whole.inputs[0]), row_bytes, _REQUEST_BYTES):
        request = replace(whole, inputs=tuple(array[part] for array in whole.inputs))
        yield part, shared_interpreters().run(request, bounds)


def run_tflm(path: Path, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """`run_model` in TFLite-Micro."""
    return run_model(Interpreter.TFLM, path, inputs)


def run_litert(path: Path, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """`run_model` in LiteRT's reference kernels."""
    return run_model(Interpreter.LITERT, path, inputs)


def shared_interpreters() -> Interpreters:
    """One child for the whole process; a fork of this process gets its own."""
    return _interpreters_of(os.getpid())


@cache
def _interpreters_of(pid: int) -> Interpreters:
    interpreters = Interpreters()

    def close() -> None:
        # A fork also runs this when it ends.
        if os.getpid() == pid:
            interpreters.close()

    atexit.register(close)
    return interpreters


def tensor_bytes(tensor: TensorInfo) -> int:
    """The size of a tensor; 0 for types NumPy does not have, which take little."""
    try:
        return math.prod(tensor.shape) * np.dtype(tensor.dtype).itemsize
    except TypeError:
        return 0


def _how(error: LostError, bounds: Bounds) -> str:
    if error.end is End.TIME:
        return f"did not end within {bounds.seconds:g} s"
    return error.how


def _said(child: Conversation) -> str:
    lines = [line.strip() for line in child.words.splitlines()]
    said = [one_line(line) for line in lines if line and not line.startswith("INFO")]
    return "; ".join(said[:_WORDS_LINES])[:_WORDS_LENGTH]
