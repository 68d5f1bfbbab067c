"""A compiled model's graph: `ethos-u` operators, CPU operators, and the tensors between them.

The rows of a batch are independent of each other. They are processed in slices that are small
enough for the processor's caches and the memory of a small machine. Within a slice, every operation
handles all rows at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.core.arrays import Array, empty_array
from bench.core.rows import row_shape
from targets.artefact import (
    ArenaRegion,
    Artefact,
    CpuOperator,
    FlashRegion,
    InterfaceRegion,
    NpuOperator,
)
from targets.artefact.errors import stream_of
from targets.simulator.cpu.errors import CpuOperatorError
from targets.simulator.cpu.operator import CpuOperation
from targets.simulator.cpu.variables import VARIABLE_OPERATORS, Variables, VariableStep
from targets.simulator.execution.memory import Memory, MemoryMap, RegionInfo
from targets.simulator.execution.program import Program
from targets.simulator.native.kernels import Kernels
from targets.simulator.observation import CpuOutput, NpuOutput, Observer
from targets.simulator.tensors import Tensors

__all__ = ["Graph"]


#: Memory and workspace of a slice of rows, in bytes.
_SLICE_BYTES = 8 << 20

_ARENA = 0


class Graph:
    """A prepared artefact. Raises `StreamError` or `ModelError` for what cannot be run."""

    def __init__(
        self, artefact: Artefact, max_size: float = 1.0, kernels: Kernels | None = None
    ) -> None:
        self._artefact = artefact
        self._steps: list[_NpuStep | _CpuStep | _VariableStep] = []
        #: Why the graph as a whole cannot be run, although its NPU operators can.
        self._obstacle: CpuOperatorError | None = None
        variables = Variables(artefact)
        operations = 0
        for operator in artefact.operators:
            try:
                self._steps.append(
                    _step(artefact, operator, variables, max_size, operations, kernels)
                )
            except CpuOperatorError as error:
                self._obstacle = self._obstacle or error
            if isinstance(operator, NpuOperator):
                operations += len(operator.operations)
        need = artefact.arena_bytes + max((step.workspace for step in self._steps), default=0)
        self._rows = max(1, _SLICE_BYTES // max(1, need))

    def run(
        self, sequence: Sequence[Sequence[Array]], observer: Observer | None = None
    ) -> list[tuple[Array, ...]]:
        """Run a sequence of inferences; each continues from the state of the last.

        For every inference, `sequence` has one array `[n, ...]` per model input, and the result one
        array `[n, ...]` per model output. All rows start from the model's initial state. `observer`
        gets what every operation gives.
        Raises `CpuOperatorError` if an operator on the CPU cannot be run.
        """
        if self._obstacle is not None:
            raise self._obstacle
        rows = len(sequence[0][0])
        artefact = self._artefact
        outputs = [artefact.tensors[i] for i in artefact.outputs]
        results = [
            tuple(empty_array((rows, *row_shape(t)), t.dtype) for t in outputs) for _ in sequence
        ]
        for start in range(0, rows, self._rows):
            part = slice(start, min(rows, start + self._rows))
            tensors = Tensors(artefact, part.stop - part.start)
            for inputs, result in zip(sequence, results, strict=True):
                for index, values in zip(artefact.inputs, inputs, strict=True):
                    tensors.write(index, values[part])
                for step in self._steps:
                    step.run(tensors, observer)
                for index, values in zip(artefact.outputs, result, strict=True):
                    values[part] = tensors.read(index).reshape(values[part].shape)
        return results


def _step(
    artefact: Artefact,
    operator: NpuOperator | CpuOperator,
    variables: Variables,
    max_size: float,
    first: int,
    kernels: Kernels | None,
) -> _NpuStep | _CpuStep | _VariableStep:
    if isinstance(operator, NpuOperator):
        return _NpuStep(artefact, operator, max_size, first, kernels)
    if operator.name in VARIABLE_OPERATORS:
        return _VariableStep(variables.step(operator))
    return _CpuStep(CpuOperation(artefact, operator))


class _NpuStep:
    """An `ethos-u` operator."""

    def __init__(
        self,
        artefact: Artefact,
        operator: NpuOperator,
        max_size: float,
        first: int,
        kernels: Kernels | None,
    ) -> None:
        """`first` is the index of its first operation among those of all such operators."""
        self._operator = operator
        self._first = first
        self._tensors = artefact.tensors
        regions: dict[int, RegionInfo] = {}
        #: Storage number -> region of the operator's own.
        self._interfaces: dict[int, InterfaceRegion] = {}
        for index, region in operator.regions.items():
            if isinstance(region, FlashRegion):
                regions[index] = RegionInfo(region.data.size, region.data, storage=-1)
            elif isinstance(region, ArenaRegion):
                regions[index] = RegionInfo(region.length, None, _ARENA, region.offset)
            else:
                storage = _ARENA + 1 + index
                self._interfaces[storage] = region
                regions[index] = RegionInfo(region.length, None, storage)
        self._layout = MemoryMap(regions)
        with stream_of(f"the compiled model {artefact.name}, operator {operator.index}"):
            self._program = Program(
                operator.operations, self._layout, operator.payload.macs, max_size, kernels
            )
        self.workspace = self._program.workspace + sum(
            region.length for region in self._interfaces.values()
        )

    def run(self, tensors: Tensors, observer: Observer | None) -> None:
        storages = {_ARENA: tensors.arena}
        for storage, region in self._interfaces.items():
            storages[storage] = np.zeros((tensors.rows, region.length), np.uint8)
            for index, offset in region.slots:
                if index in self._operator.inputs:
                    content = np.ascontiguousarray(tensors.read(index)).reshape(tensors.rows, -1)
                    size = self._tensors[index].size
                    storages[storage][:, offset : offset + size] = content.view(np.uint8)
        memory = Memory(self._layout, storages, tensors.rows)
        if observer is None:
            self._program.run(memory)
        else:
            told = observer
            self._program.run(memory, lambda i, ofm: told(NpuOutput(self._first + i, ofm)))
        for storage, region in self._interfaces.items():
            for index, offset in region.slots:
                if index in self._operator.outputs:
                    tensor = self._tensors[index]
                    content = storages[storage][:, offset : offset + tensor.size]
                    tensors.write(index, np.ascontiguousarray(content).view(tensor.dtype))


class _CpuStep:
    """An operator of an interpreter."""

    workspace = 0

    def __init__(self, operation: CpuOperation) -> None:
        self._operation = operation

    def run(self, tensors: Tensors, observer: Observer | None) -> None:
        operation = self._operation
        answers = operation.run([tensors.read(index) for index in operation.inputs])
        for index, values in zip(operation.outputs, answers, strict=True):
            tensors.write(index, values)
            if observer is not None:
                observer(CpuOutput(index, np.array(tensors.read(index))))


class _VariableStep:
    """An operator on resource variables. It only copies, so there is nothing to observe."""

    workspace = 0

    def __init__(self, step: VariableStep) -> None:
        self._step = step

    def run(self, tensors: Tensors, observer: Observer | None) -> None:
        self._step.run(tensors)
