"""Operators on resource variables, which the processor executes beside the NPU.

They only copy, so they need no interpreter. Every row of a batch has variables of its own, because
rows are independent. A variable starts as TFLite-Micro starts it: at the zero point of the tensor
that is assigned to it (`MicroResourceVariables::Allocate`), until CALL_ONCE gives it a value.

Vela may move reads before CALL_ONCE. Then the first inference reads what it would read on a device,
which differs from the source model's if that does not start at real 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bench.core.errors import ModelError
from bench.tflite.resource_variables import assigned_once, variable_names
from targets.artefact import Artefact, CpuOperator
from targets.simulator.cpu.errors import CpuOperatorError, place_of
from targets.simulator.tensors import Tensors

__all__ = ["VARIABLE_OPERATORS", "VariableStep", "Variables"]

VARIABLE_OPERATORS = frozenset({"CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"})


@dataclass(frozen=True)
class _Nothing:
    """VAR_HANDLE: a name, known beforehand."""

    workspace = 0

    def run(self, tensors: Tensors) -> None:
        pass


@dataclass(frozen=True)
class _Read:
    """READ_VARIABLE: a variable's bytes become a tensor's."""

    variable: str
    start: npt.NDArray[np.uint8]
    output: int
    dtype: str
    workspace = 0

    def run(self, tensors: Tensors) -> None:
        held = tensors.variables.get(self.variable)
        if held is None:
            held = np.tile(self.start, (tensors.rows, 1))
        tensors.write(self.output, held.view(self.dtype))


@dataclass(frozen=True)
class _Assign:
    """ASSIGN_VARIABLE: a tensor's bytes become a variable's."""

    variable: str
    source: int
    workspace = 0

    def run(self, tensors: Tensors) -> None:
        tensors.variables[self.variable] = tensors.read_bytes(self.source)


@dataclass(frozen=True)
class _Once:
    """CALL_ONCE: at the first inference, variables get the values they start with."""

    operator: int
    values: Mapping[str, npt.NDArray[np.uint8]]
    workspace = 0

    def run(self, tensors: Tensors) -> None:
        if self.operator in tensors.once:
            return
        tensors.once.add(self.operator)
        for variable, value in self.values.items():
            tensors.variables[variable] = np.tile(value, (tensors.rows, 1))


VariableStep: TypeAlias = _Nothing | _Read | _Assign | _Once


class Variables:
    """The resource variables of a compiled model, and what is done with them."""

    def __init__(self, artefact: Artefact) -> None:
        """Raise `ModelError` if the file is damaged."""
        self._artefact = artefact
        file = artefact.file
        self._names = {} if file is None else variable_names(file)
        #: Variable -> the bytes of one row before anything is assigned.
        self._start: dict[str, npt.NDArray[np.uint8]] = {}
        for operator in artefact.operators:
            if isinstance(operator, CpuOperator) and operator.name == "ASSIGN_VARIABLE":
                variable, source = self._assigned(operator)
                tensor = artefact.tensors[source]
                start = np.full(tensor.size, tensor.start_value % 256, np.uint8)
                self._start.setdefault(variable, start)

    def step(self, operator: CpuOperator) -> VariableStep:
        """One of `VARIABLE_OPERATORS`, ready to run.

        Raises `CpuOperatorError` for what is not simulated, `ModelError` if the file is damaged.
        """
        if operator.name == "CALL_ONCE":
            return self._once(operator)
        if operator.name == "READ_VARIABLE":
            return self._read(operator)
        if operator.name == "ASSIGN_VARIABLE":
            return _Assign(*self._assigned(operator))
        return _Nothing()

    def _assigned(self, operator: CpuOperator) -> tuple[str, int]:
        inputs = operator.inputs
        if len(inputs) != 2 or inputs[0] not in self._names or inputs[1] < 0:
            raise self._damage(operator, f"has the inputs {list(inputs)}")
        return self._names[inputs[0]], inputs[1]

    def _read(self, operator: CpuOperator) -> _Read:
        inputs, outputs = operator.inputs, operator.outputs
        if len(inputs) != 1 or inputs[0] not in self._names or len(outputs) != 1:
            raise self._damage(operator, f"has inputs {list(inputs)}, outputs {list(outputs)}")
        variable = self._names[inputs[0]]
        start = self._start.get(variable)
        if start is None:
            raise CpuOperatorError(
                f"{place_of(self._artefact, operator)} reads the variable {variable!r}, to which "
                "no operator assigns anything",
                cure="convert the model again",
            )
        tensor = self._artefact.tensors[outputs[0]]
        if tensor.size != start.size:
            raise self._damage(
                operator, f"reads {tensor.size} bytes of {variable!r}, which has {start.size}"
            )
        return _Read(variable, start, outputs[0], tensor.dtype)

    def _once(self, operator: CpuOperator) -> _Once:
        assert self._artefact.file is not None, "a raw file has no operator on the CPU"
        try:
            values = assigned_once(self._artefact.file, operator.index)
        except ModelError as error:
            raise CpuOperatorError(
                f"{place_of(self._artefact, operator)}: {error.what}", cure=error.cure
            ) from error
        for variable, value in values.items():
            held = self._start.get(variable)
            if held is not None and held.size != value.size:
                raise self._damage(
                    operator, f"gives {value.size} bytes to {variable!r}, which has {held.size}"
                )
        return _Once(operator.index, values)

    def _damage(self, operator: CpuOperator, what: str) -> ModelError:
        where = place_of(self._artefact, operator)
        return ModelError(f"{where} {what}", cure="compile the model again")
