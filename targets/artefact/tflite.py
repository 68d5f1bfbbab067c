"""A vela-optimised `.tflite` as an `Artefact`."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import prod
from pathlib import Path
from types import MappingProxyType

import numpy as np

from bench.core.errors import ModelError
from bench.core.text import one_line
from bench.tflite.graph import FileGraph, OperatorNode
from bench.tflite.reader import read_graph
from targets.artefact.driver_actions import parse_payload
from targets.artefact.errors import stream_of
from targets.artefact.model import (
    ARENA_LIMIT,
    FAST_REGION,
    FLASH_REGION,
    INPUT_REGION,
    OUTPUT_REGION,
    SCRATCH_REGION,
    ArenaRegion,
    Artefact,
    Bytes,
    CpuOperator,
    FlashRegion,
    InterfaceRegion,
    ModelTensor,
    NpuOperator,
    Region,
)
from targets.artefact.stream.decode import decode

__all__ = ["load_tflite"]

_CUSTOM_NAME = "ethos-u"
_ALLOCATION = "OfflineMemoryAllocation"
_ALLOCATION_HEADER = 3
#: The operator's inputs before the feature maps: stream, read-only, scratch, fast scratch.
_FIXED_INPUTS = 4
#: Alignment of tensors in a region of inputs or outputs (regor, `AllocateIOAddresses`).
_INTERFACE_ALIGNMENT = 16

_ITEM_BYTES = {
    "bool": 1,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "uint16": 2,
    "float16": 2,
    "bfloat16": 2,
    "int32": 4,
    "uint32": 4,
    "float32": 4,
    "int64": 8,
    "uint64": 8,
    "float64": 8,
    "complex64": 8,
    "complex128": 16,
}

_INT8 = frozenset(range(-128, 128))
_NOT_IN_NUMPY = frozenset({"bfloat16"})

_CURE = "compile the model again"


def load_tflite(path: Path) -> Artefact:
    """Read a `.tflite` that Vela wrote. Raises as `load_artefact` does."""
    return _Loader(path, read_graph(path)).load()


class _Loader:
    """Checks and decodes one file; it holds everything that an error needs to name."""

    def __init__(self, path: Path, graph: FileGraph) -> None:
        self._path = path
        self._graph = graph

    def load(self) -> Artefact:
        graph = self._graph
        offsets = self._offsets()
        tensors = tuple(self._tensor(i, offsets[i]) for i in range(len(graph.tensors)))
        operators: list[NpuOperator | CpuOperator] = []
        # Which tensors an NPU operator has written decides their region with separate regions.
        written: set[int] = set()
        for index, node in enumerate(graph.operators):
            if node.info.custom != _CUSTOM_NAME:
                operators.append(
                    CpuOperator(index, node.info.name, node.info.custom, node.inputs, node.outputs)
                )
                continue
            written.update(node.outputs)
            operators.append(self._npu(index, node, tensors, written))
        npu = [op for op in operators if isinstance(op, NpuOperator)]
        macs = {op.payload.macs for op in npu}
        if len(macs) > 1:
            raise self._error(f"operators for different accelerators: {sorted(macs)} MACs")
        if any(op.payload.separate_io_regions for op in npu):
            tensors = self._outside_the_arena(tensors)
        arena = max((t.offset + t.size for t in tensors if t.offset is not None), default=0)
        memory = arena + sum(
            region.length
            for op in npu
            for region in op.regions.values()
            if isinstance(region, InterfaceRegion)
        )
        if memory > ARENA_LIMIT:
            raise self._error(f"memory of {memory} bytes; at most {ARENA_LIMIT} are simulated")
        variables = [tensor for tensor in tensors if tensor.is_variable]
        self._check_values([*(tensors[i] for i in (*graph.inputs, *graph.outputs)), *variables])
        for tensor in variables:
            if tensor.dtype == "int8" and not set(tensor.zero_points) <= _INT8:
                raise self._error(
                    f"variable {tensor.name!r} has the zero point {tensor.zero_points}"
                )
        return Artefact(
            name=one_line(self._path.name),
            tensors=tensors,
            operators=tuple(operators),
            inputs=graph.inputs,
            outputs=graph.outputs,
            macs=macs.pop() if macs else None,
            arena_bytes=arena,
            file=graph,
        )

    def _outside_the_arena(self, tensors: tuple[ModelTensor, ...]) -> tuple[ModelTensor, ...]:
        """With separate regions, the stated offsets are in these regions, except for scratch."""
        scratch = {
            i
            for node in self._graph.operators
            if node.info.custom == _CUSTOM_NAME
            for i in node.inputs[2:_FIXED_INPUTS]
        }
        return tuple(t if t.index in scratch else replace(t, offset=None) for t in tensors)

    def _offsets(self) -> list[int | None]:
        """Arena offsets of the first subgraph's tensors; int32, -1 for none, after a header."""
        count = len(self._graph.tensors)
        data = self._graph.metadata.get(_ALLOCATION)
        if data is None:
            if any(node.info.custom == _CUSTOM_NAME for node in self._graph.operators):
                raise self._error(f"it has no metadata {_ALLOCATION}")
            return [None] * count
        if data.size % 4 or data.size < 4 * (_ALLOCATION_HEADER + count):
            raise self._error(f"{_ALLOCATION} of {data.size} bytes for {count} tensors")
        values = np.frombuffer(data.tobytes(), "<i4").tolist()
        if values[0] != 0 or values[2] < count or values[2] != len(values) - _ALLOCATION_HEADER:
            raise self._error(f"{_ALLOCATION} has the header {values[:_ALLOCATION_HEADER]}")
        offsets = values[_ALLOCATION_HEADER : _ALLOCATION_HEADER + count]
        if min(offsets, default=0) < -1:
            raise self._error(f"{_ALLOCATION} holds the offset {min(offsets)}")
        return [None if offset == -1 else offset for offset in offsets]

    def _tensor(self, index: int, offset: int | None) -> ModelTensor:
        info = self._graph.tensors[index]
        constant = self._graph.constants[index]
        where = f"tensor {index} {info.name!r}"
        if info.is_sparse:
            raise ModelError(
                f"the compiled model {self._path}: {where} is stored sparse, which no target reads",
                cure="convert the model without Optimize.EXPERIMENTAL_SPARSITY, or let the bench "
                "compile it, which makes sparse weights dense first",
            )
        if min(info.shape, default=0) < 0:
            raise self._error(f"{where} has the shape {list(info.shape)}")
        item = _ITEM_BYTES.get(info.dtype)
        if item is None:
            # Strings, resources and sub-byte constants, which only CPU operators see.
            size = 0 if constant is None else constant.size
        else:
            size = prod(info.shape) * item
            if constant is not None and constant.size != size:
                raise self._error(f"{where} has {constant.size} bytes of data, not {size}")
            # Dimensions of 0 must not hide others that no array could have.
            extent = prod(max(dimension, 1) for dimension in info.shape) * item
            if extent > ARENA_LIMIT:
                raise self._error(f"{where} of {extent} bytes; at most {ARENA_LIMIT} are simulated")
        return ModelTensor(
            index=index,
            name=info.name,
            shape=info.shape,
            dtype=info.dtype,
            size=size,
            offset=offset,
            constant=constant,
            scales=info.scales,
            zero_points=info.zero_points,
            is_variable=info.is_variable,
        )

    def _npu(
        self,
        index: int,
        node: OperatorNode,
        tensors: tuple[ModelTensor, ...],
        written: set[int],
    ) -> NpuOperator:
        # There may be no outputs: what it makes stays in the arena for the next operator.
        if len(node.inputs) < _FIXED_INPUTS or -1 in node.inputs:
            raise self._error(f"operator {index} (ethos-u) has the inputs {list(node.inputs)}")
        stream, flash, scratch, fast = (tensors[i] for i in node.inputs[:_FIXED_INPUTS])
        if stream.constant is None:
            raise self._error(f"operator {index} (ethos-u) has no command stream")
        with stream_of(f"the compiled model {self._path}, operator {index}"):
            payload = parse_payload(stream.constant.tobytes())
            operations = decode(payload.commands, payload.macs)
        inputs, outputs = node.inputs[_FIXED_INPUTS:], node.outputs
        regions: dict[int, Region] = {
            FLASH_REGION: FlashRegion(self._flash(index, flash)),
            SCRATCH_REGION: self._arena(index, scratch),
            FAST_REGION: self._arena(index, fast),
        }
        interface = [tensors[i] for i in (*inputs, *outputs) if tensors[i].constant is None]
        if not payload.separate_io_regions:
            # The stream cannot reach an input without a place in the arena: an operator has it
            # for its shape only.
            interface = [t for t in interface if t.offset is not None or t.index in outputs]
        self._check_values(interface)
        if payload.separate_io_regions:
            regions |= _interface_regions(interface, written)
        else:
            for tensor in interface:
                self._arena(index, tensor)
        return NpuOperator(
            index=index,
            payload=payload,
            operations=operations,
            regions=MappingProxyType(regions),
            inputs=inputs,
            outputs=outputs,
        )

    def _check_values(self, tensors: list[ModelTensor]) -> None:
        """Check that the values of these tensors can be arrays."""
        for tensor in tensors:
            if tensor.dtype not in _ITEM_BYTES or tensor.dtype in _NOT_IN_NUMPY:
                raise self._error(
                    f"tensor {tensor.index} {tensor.name!r} has values of type {tensor.dtype}, "
                    "which are not simulated"
                )

    def _flash(self, index: int, tensor: ModelTensor) -> Bytes:
        if tensor.constant is not None:
            return tensor.constant
        if tensor.size:
            raise self._error(
                f"operator {index} (ethos-u): its read-only tensor {tensor.name!r} has no data"
            )
        return np.zeros(0, np.uint8)

    def _arena(self, index: int, tensor: ModelTensor) -> ArenaRegion:
        if tensor.offset is None:
            raise self._error(
                f"operator {index} (ethos-u): tensor {tensor.name!r} has no place in the arena"
            )
        return ArenaRegion(tensor.offset, tensor.size)

    def _error(self, what: str) -> ModelError:
        return ModelError(f"the compiled model {self._path}: {what}", cure=_CURE)


def _interface_regions(
    interface: list[ModelTensor], written: set[int]
) -> dict[int, InterfaceRegion]:
    """Regions 3 and 4: tensors that the NPU never writes, and tensors that it writes."""
    members: dict[int, list[ModelTensor]] = {INPUT_REGION: [], OUTPUT_REGION: []}
    for tensor in dict.fromkeys(interface):
        members[OUTPUT_REGION if tensor.index in written else INPUT_REGION].append(tensor)
    return {region: _pack(group) for region, group in members.items()}


def _pack(group: list[ModelTensor]) -> InterfaceRegion:
    """Place tensors as regor does: in order, aligned, unless the file states their offsets.

    The file has one offset per tensor, although a tensor may be in the regions of two operators.
    So the offsets are used only if they are complete and do not overlap.
    """
    stated = sorted((t.offset, t.size, t.index) for t in group if t.offset is not None)
    if len(stated) == len(group) and all(
        offset + size <= following for (offset, size, _), (following, _, _) in pairwise(stated)
    ):
        slots = [(index, offset) for offset, _, index in stated]
        end = stated[-1][0] + stated[-1][1] if stated else 0
    else:
        slots, end = [], 0
        for tensor in group:
            start = -(-end // _INTERFACE_ALIGNMENT) * _INTERFACE_ALIGNMENT
            slots.append((tensor.index, start))
            end = start + tensor.size
    length = -(-end // _INTERFACE_ALIGNMENT) * _INTERFACE_ALIGNMENT
    return InterfaceRegion(tuple(slots), length)
