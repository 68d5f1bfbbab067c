"""The values of a graph's tensors and variables while it runs, for several rows at once."""

from __future__ import annotations

import numpy as np

from bench.core.arrays import Array
from bench.core.errors import ModelError
from targets.artefact import Artefact
from targets.simulator.execution.memory import Bytes

__all__ = ["Tensors"]


class Tensors:
    """The values of all tensors for some rows: in the arena, or in arrays of their own."""

    def __init__(self, artefact: Artefact, rows: int) -> None:
        self.rows = rows
        self.arena: Bytes = np.zeros((rows, artefact.arena_bytes), np.uint8)
        #: The resource variables that have a value, uint8 `[rows, bytes]`.
        self.variables: dict[str, Bytes] = {}
        #: The operators that run once, and have.
        self.once: set[int] = set()
        self._artefact = artefact
        self._others: dict[int, Array] = {}
        for tensor in artefact.tensors:
            if tensor.is_variable and tensor.constant is None:
                start = np.full((rows, *tensor.shape), tensor.start_value, tensor.dtype)
                self.write(tensor.index, start)

    def read(self, index: int) -> Array:
        """`[rows, *shape]`; a view of the arena if the tensor is in the arena."""
        tensor = self._artefact.tensors[index]
        shape = (self.rows, *tensor.shape)
        if tensor.constant is not None:
            return np.broadcast_to(tensor.constant.view(tensor.dtype).reshape(tensor.shape), shape)
        if tensor.offset is None:
            if index not in self._others:
                raise ModelError(
                    f"{self._artefact.name}: tensor {index} {tensor.name!r} is read before "
                    "anything has written it",
                    cure="compile the model again",
                )
            return self._others[index]
        stored = self.arena[:, tensor.offset : tensor.offset + tensor.size]
        return np.ascontiguousarray(stored).view(tensor.dtype).reshape(shape)

    def write(self, index: int, values: Array) -> None:
        """Store `[rows, ...]` of the tensor's dtype."""
        tensor = self._artefact.tensors[index]
        if tensor.offset is None:
            self._others[index] = values.reshape(self.rows, *tensor.shape)
            return
        content = np.ascontiguousarray(values).reshape(self.rows, -1).view(np.uint8)
        self.arena[:, tensor.offset : tensor.offset + tensor.size] = content

    def read_bytes(self, index: int) -> Bytes:
        """The same as `read`, uint8 `[rows, bytes]`; a copy."""
        content = np.ascontiguousarray(self.read(index)).reshape(self.rows, -1)
        copy: Bytes = content.view(np.uint8).copy()
        return copy
