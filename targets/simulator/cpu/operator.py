"""Operators that Vela left to the CPU; a reference interpreter runs each as a model of its own.

TFLite-Micro runs them if it can, as it would next to the NPU. Where it refuses (it has fewer
operators), LiteRT's reference kernels run them. Both run in another process, see
`interpreter_process`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.core.arrays import Array
from bench.core.errors import ModelError, PrerequisiteError
from bench.tflite.interpreter_process import Verdict, shared_process
from targets.artefact import Artefact, CpuOperator
from targets.simulator.cpu.single_operator import extract_operator

__all__ = ["CpuOperation"]


#: Operators with a lasting effect that a model of one operator cannot show.
_STATEFUL = frozenset({"CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"})


class CpuOperation:
    """One operator, ready to run. `inputs` and `outputs` are the tensors that change."""

    def __init__(self, artefact: Artefact, operator: CpuOperator) -> None:
        label = operator.custom or operator.name
        self._where = f"{artefact.name}: operator {operator.index} ({label})"
        state = [i for i in operator.inputs if i >= 0 and artefact.tensors[i].is_variable]
        if operator.name in _STATEFUL or state:
            raise ModelError(
                f"{self._where} keeps state on the CPU, which is not simulated",
                cure="convert the model so that its state is on the NPU or in inputs and outputs",
            )
        self.inputs = tuple(
            i for i in operator.inputs if i >= 0 and artefact.tensors[i].constant is None
        )
        self.outputs = operator.outputs
        if not self.inputs or not self.outputs:
            raise ModelError(
                f"{self._where} takes {len(self.inputs)} values and gives {len(self.outputs)}",
                cure="compile the model again",
            )
        self._results = [artefact.tensors[i] for i in self.outputs]
        self._model = extract_operator(artefact, operator)
        verdict, _, reason = shared_process().run(self._model, [], len(self.outputs))
        if verdict is Verdict.REFUSED:
            raise PrerequisiteError(
                f"{self._where} was left to the CPU, and no interpreter runs it: {reason}",
                cure="pip install --pre tflite-micro ai-edge-litert",
            )
        if verdict is Verdict.FAILED:
            raise self._failure(reason)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Compute the outputs: one array `[rows, *tensor shape]` for each of `inputs`, `outputs`.

        Raises `ModelError` when the interpreter fails, dies or does not end.
        """
        rows = len(inputs[0])
        verdict, answers, reason = shared_process().run(self._model, inputs, len(self.outputs))
        if verdict is not Verdict.DONE:
            raise self._failure(reason)
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

    def _failure(self, reason: str) -> ModelError:
        return ModelError(
            f"{self._where} failed: {reason}", cure="see the interpreter's own message above"
        )
