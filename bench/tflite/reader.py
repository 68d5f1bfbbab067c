"""The flatbuffer of a `.tflite` file, read without trust: tensors, operators, constants, metadata.

It needs neither TensorFlow nor an interpreter. A damaged file gives a `ModelError`, never a crash
or a hang: every vector is bounded by the size of the file before it is read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from bench.core.errors import ModelError
from bench.core.files import read_regular
from bench.core.text import one_line
from bench.tflite.graph import FileGraph, OperatorInfo, OperatorNode, TensorInfo
from bench.tflite.packing import IDENTIFIER

__all__ = [
    "MODEL_DAMAGE",
    "graph_of",
    "read_graph",
    "read_operators",
    "read_subgraph",
]

#: Offsets in a flatbuffer have 31 bits.
_LARGEST_FILE = (1 << 31) - 1
_T = TypeVar("_T")

#: What flatbuffers' and NumPy's readers raise when an offset points nowhere.
MODEL_DAMAGE = (struct.error, IndexError, ValueError, TypeError, OverflowError)


def _names(enumeration: type) -> dict[int, str]:
    return {code: name for name, code in vars(enumeration).items() if not name.startswith("_")}


_DTYPES = {code: name.lower() for code, name in _names(schema.TensorType).items()}
_OPERATORS = _names(schema.BuiltinOperator)


def read_graph(path: Path) -> FileGraph:
    """Read the `.tflite` file at `path`.

    Raises `ModelError`, which names the file, when it is missing, not a file, not a TFLite model,
    or visibly damaged (a flipped bit in a weight is not visible).
    """
    return _read(path, lambda reader: reader.read())


def read_subgraph(graph: FileGraph, index: int) -> FileGraph:
    """Subgraph `index` of the file that `graph` is from. Raises `ModelError` if it is damaged."""
    try:
        return _Reader(graph.data).read(index)
    except MODEL_DAMAGE as error:
        raise ModelError(
            f"subgraph {index} is damaged: {error}", cure="copy or convert the model again"
        ) from error


def graph_of(data: bytes, path: Path) -> FileGraph:
    """The graph of the `.tflite` file with the content `data`; an error names `path`.

    Raises like `read_graph`.
    """
    return _taken(data, path, lambda reader: reader.read())


def read_operators(path: Path) -> tuple[OperatorInfo, ...]:
    """The operators of all subgraphs of the file at `path`. Raises like `read_graph`."""
    return _read(path, lambda reader: reader.operators())


def _read(path: Path, take: Callable[[_Reader], _T]) -> _T:
    try:
        data = read_regular(path, _LARGEST_FILE)
    except OSError as error:
        raise ModelError(
            f"cannot read the model file {path}: {error.strerror or error}",
            cure="give the path of a .tflite file",
        ) from error
    return _taken(data, path, take)


def _taken(data: bytes, path: Path, take: Callable[[_Reader], _T]) -> _T:
    if data[4:8] != IDENTIFIER:
        raise ModelError(
            f"{path} is not a TFLite model: the identifier TFL3 is missing",
            cure="give the path of a .tflite file",
        )
    try:
        return take(_Reader(data))
    except MODEL_DAMAGE as error:
        raise ModelError(
            f"the TFLite model {path} ({len(data)} bytes) is truncated or damaged: {error}",
            cure="copy or convert the model again",
        ) from error


class _Reader:
    """One pass over a flatbuffer. Raises one of `MODEL_DAMAGE` if it is not what it should be.

    flatbuffers' Python reader checks nothing. So a damaged length could make a loop run through
    billions of elements, and overlapping vectors could multiply that. In an intact model, all
    vectors together have fewer elements than the file has bytes; this is the budget.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._budget = len(data)

    def read(self, subgraph: int = 0) -> FileGraph:
        model = schema.Model.GetRootAsModel(self._data, 0)
        buffers = [self._buffer(model, i) for i in range(self._spend(model.BuffersLength()))]
        codes = [self._code(model, i) for i in range(self._spend(model.OperatorCodesLength()))]
        graph = model.Subgraphs(_index(subgraph, model.SubgraphsLength(), "subgraph"))
        found = [
            self._tensor(graph.Tensors(i), buffers)
            for i in range(self._spend(graph.TensorsLength()))
        ]
        inputs = self._vector(graph.InputsAsNumpy, graph.InputsLength())
        outputs = self._vector(graph.OutputsAsNumpy, graph.OutputsLength())
        operators = tuple(
            self._operator(graph.Operators(i), codes, len(found))
            for i in range(self._spend(graph.OperatorsLength()))
        )
        return FileGraph(
            data=self._data,
            tensors=tuple(tensor for tensor, _ in found),
            inputs=tuple(_index(i, len(found), "input") for i in inputs),
            outputs=tuple(_index(i, len(found), "output") for i in outputs),
            operators=operators,
            constants=tuple(constant for _, constant in found),
            metadata=self._metadata(model, buffers),
            subgraph=subgraph,
        )

    def operators(self) -> tuple[OperatorInfo, ...]:
        """The operators of all subgraphs, one subgraph after another."""
        model = schema.Model.GetRootAsModel(self._data, 0)
        codes = [self._code(model, i) for i in range(self._spend(model.OperatorCodesLength()))]
        graphs = [model.Subgraphs(i) for i in range(self._spend(model.SubgraphsLength()))]
        return tuple(
            codes[_index(graph.Operators(i).OpcodeIndex(), len(codes), "operator code")]
            for graph in graphs
            for i in range(self._spend(graph.OperatorsLength()))
        )

    def _spend(self, count: int) -> int:
        """`count`, after taking it from the budget."""
        if count < 0 or count > self._budget:
            raise ValueError(f"a vector of {count} elements does not fit into the file")
        self._budget -= count
        return count

    def _vector(self, as_numpy: Callable[[], Any], length: int) -> tuple[Any, ...]:
        """A vector of numbers; NumPy refuses one that reaches beyond the file."""
        return tuple(as_numpy().tolist()) if self._spend(length) else ()

    def _string(self, text: bytes | None) -> str:
        if text is None:
            return ""
        self._spend(len(text))
        # Names are shown to people, and may contain anything.
        return one_line(text.decode("utf-8", "replace"))

    def _buffer(self, model: Any, index: int) -> npt.NDArray[np.uint8] | None:
        """One buffer, checked to be inside the file."""
        buffer = model.Buffers(index)
        if buffer.DataLength() == 0:
            return None
        data: npt.NDArray[np.uint8] = buffer.DataAsNumpy()
        return data

    def _code(self, model: Any, index: int) -> OperatorInfo:
        code = model.OperatorCodes(index)
        # Codes above 127 do not fit the older field, which then holds a placeholder.
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if builtin not in _OPERATORS:
            raise ValueError(f"unknown operator code {builtin}")
        name = _OPERATORS[builtin]
        custom = self._string(code.CustomCode()) if name == "CUSTOM" else None
        return OperatorInfo(name=name, custom=custom)

    def _operator(self, operator: Any, codes: list[OperatorInfo], tensors: int) -> OperatorNode:
        inputs = self._vector(operator.InputsAsNumpy, operator.InputsLength())
        outputs = self._vector(operator.OutputsAsNumpy, operator.OutputsLength())
        return OperatorNode(
            info=codes[_index(operator.OpcodeIndex(), len(codes), "operator code")],
            inputs=tuple(i if i == -1 else _index(i, tensors, "operator input") for i in inputs),
            outputs=tuple(_index(i, tensors, "operator output") for i in outputs),
        )

    def _metadata(
        self, model: Any, buffers: list[npt.NDArray[np.uint8] | None]
    ) -> Mapping[str, npt.NDArray[np.uint8]]:
        entries: dict[str, npt.NDArray[np.uint8]] = {}
        for i in range(self._spend(model.MetadataLength())):
            entry = model.Metadata(i)
            data = buffers[_index(entry.Buffer(), len(buffers), "metadata buffer")]
            entries[self._string(entry.Name())] = np.zeros(0, np.uint8) if data is None else data
        return MappingProxyType(entries)

    def _tensor(
        self, tensor: Any, buffers: list[npt.NDArray[np.uint8] | None]
    ) -> tuple[TensorInfo, npt.NDArray[np.uint8] | None]:
        if tensor.Type() not in _DTYPES:
            raise ValueError(f"unknown tensor type {tensor.Type()}")
        shape = self._vector(tensor.ShapeAsNumpy, tensor.ShapeLength())
        signature = self._vector(tensor.ShapeSignatureAsNumpy, tensor.ShapeSignatureLength())
        if signature and len(signature) != len(shape):
            raise ValueError(f"shape {list(shape)} with the signature {list(signature)}")
        quantisation = tensor.Quantization()
        scales: tuple[float, ...] = ()
        zero_points: tuple[int, ...] = ()
        if quantisation is not None:
            scales = self._vector(quantisation.ScaleAsNumpy, quantisation.ScaleLength())
            zero_points = self._vector(
                quantisation.ZeroPointAsNumpy, quantisation.ZeroPointLength()
            )
        constant = buffers[_index(tensor.Buffer(), len(buffers), "buffer")]
        info = TensorInfo(
            name=self._string(tensor.Name()),
            shape=shape,
            shape_signature=signature or shape,
            dtype=_DTYPES[tensor.Type()],
            scales=scales,
            zero_points=zero_points,
            constant_bytes=0 if constant is None else constant.size,
            is_variable=bool(tensor.IsVariable()),
            is_sparse=tensor.Sparsity() is not None,
        )
        return info, constant


def _index(index: int, length: int, what: str) -> int:
    if not 0 <= index < length:
        raise ValueError(f"{what} {index} does not exist")
    return int(index)
