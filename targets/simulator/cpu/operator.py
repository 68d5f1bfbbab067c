"""Operators that Vela left to the CPU; an interpreter runs each as a model of its own.

TFLite-Micro runs them if it can, as it would next to the NPU. Where it refuses (it has fewer
operators), LiteRT's reference kernels run them. Both run in another process, see
`bench.tflite.interpreters`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.core.arrays import Array
from bench.core.errors import ModelError
from bench.tflite.extract import (
    EXTRACT_DAMAGE,
    Constants,
    extract_operators,
    inputs_of,
    stands_alone,
)
from bench.tflite.interpreters import (
    Interpreter,
    InterpreterError,
    RefusedError,
    Request,
    shared_interpreters,
)
from targets.artefact import Artefact, CpuOperator
from targets.simulator.cpu.errors import CpuOperatorError, place_of

__all__ = ["CpuOperation"]


class CpuOperation:
    """One operator, ready to run. `inputs` and `outputs` are the tensors that change."""

    def __init__(self, artefact: Artefact, operator: CpuOperator) -> None:
        """Raise `CpuOperatorError` for what is not simulated, `ModelError` for a damaged one."""
        self._where = place_of(artefact, operator)
        if not stands_alone(operator.name):
            raise CpuOperatorError(
                f"{self._where} runs other parts of the model on the CPU, which is not simulated",
                cure="convert the model without control flow",
            )
        constants = [tensor.constant for tensor in artefact.tensors]
        self.inputs = inputs_of([operator], constants)
        # Tensors that keep state are inputs that change: the caller gives them, and gets them back.
        state = [i for i in self.inputs if artefact.tensors[i].is_variable]
        self.outputs = (*operator.outputs, *state)
        if not self.inputs or not self.outputs:
            raise ModelError(
                f"{self._where} takes {len(self.inputs)} values and gives {len(self.outputs)}",
                cure="compile the model again",
            )
        self._results = [artefact.tensors[i] for i in self.outputs]
        self._model = self._alone(artefact, operator, constants)
        #: The interpreters that may run it (the first one does), and why the others may not.
        self._interpreters = [Interpreter.TFLM, Interpreter.LITERT]
        self._refusals: list[str] = []

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Compute the outputs: one array `[rows, *tensor shape]` for each of `inputs`, `outputs`.

        Raises `CpuOperatorError` if no interpreter can run it, or if it crashes one.
        """
        rows = len(inputs[0])
        answers = self._answers(inputs)
        for answer, tensor in zip(answers, self._results, strict=True):
            if answer.nbytes != rows * tensor.size or answer.dtype.name != tensor.dtype:
                raise self._failure(
                    f"it gave {answer.dtype} {list(answer.shape[1:])} for the tensor "
                    f"{tensor.name!r}, which is {tensor.dtype} {list(tensor.shape)}"
                )
        return [
            np.reshape(answer, (rows, *tensor.shape))
            for answer, tensor in zip(answers, self._results, strict=True)
        ]

    def _answers(self, inputs: Sequence[Array]) -> Sequence[Array]:
        while self._interpreters:
            request = Request(
                interpreter=self._interpreters[0],
                model=self._model,
                inputs=tuple(array[:, None] for array in inputs),
                outputs=len(self.outputs),
                fresh=False,
            )
            try:
                return [answer[:, 0] for answer in shared_interpreters().run(request)]
            except RefusedError as error:
                self._refusals.append(error.what)
                del self._interpreters[0]
            except InterpreterError as error:
                raise self._failure("; ".join([*self._refusals, error.what])) from error
        raise self._failure("; ".join(self._refusals))

    def _failure(self, reason: str) -> CpuOperatorError:
        return CpuOperatorError(f"{self._where} was left to the CPU and cannot be run: {reason}")

    def _alone(self, artefact: Artefact, operator: CpuOperator, constants: Constants) -> bytes:
        """A `.tflite` of just this operator."""
        if artefact.file is None:
            raise ModelError(
                f"{self._where} runs on the CPU, and a raw file does not hold it",
                cure="give Vela's .tflite output",
            )
        try:
            return extract_operators(
                artefact.file.data, {operator.index: operator}, self.outputs, constants
            )
        except EXTRACT_DAMAGE as error:
            raise ModelError(
                f"{self._where} is damaged: {error}", cure="compile the model again"
            ) from error
