"""Opening a compiled model for mutation, and closing it again.

`.tflite` and `.npz` alike have a payload (driver actions with a command stream) for each
`ethos-u` operator and read-only bytes (weights, scales, tables). Everything else is reached
through the container's own structure: flatbuffer objects, or named arrays.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from typing import Any, Protocol

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.fuzz.seeds import Seed

__all__ = ["Container", "NpzContainer", "TfliteContainer", "open_seed"]


class Container(Protocol):
    """A compiled model taken apart."""

    def payloads(self) -> list[bytes]:
        """The driver actions of each `ethos-u` operator."""

    def set_payload(self, index: int, content: bytes) -> None:
        """Replace one; its length may change."""

    def constants(self) -> list[bytes]:
        """The read-only bytes of each `ethos-u` operator."""

    def set_constants(self, index: int, content: bytes) -> None:
        """Replace them."""

    def close(self) -> bytes:
        """The file."""


@dataclass
class TfliteContainer:
    """`model` is the flatbuffer as objects, free to be changed."""

    model: Any

    @property
    def graph(self) -> Any:
        return self.model.subgraphs[0]

    def payloads(self) -> list[bytes]:
        return [bytes(self._buffer(place, 0).data) for place in range(len(self._operators()))]

    def set_payload(self, index: int, content: bytes) -> None:
        self._set(index, 0, content)

    def constants(self) -> list[bytes]:
        contents = (self._buffer(place, 1).data for place in range(len(self._operators())))
        return [b"" if data is None else bytes(data) for data in contents]

    def set_constants(self, index: int, content: bytes) -> None:
        self._set(index, 1, content)

    def close(self) -> bytes:
        builder = flatbuffers.Builder(4096)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _operators(self) -> list[Any]:
        codes = self.model.operatorCodes
        return [op for op in self.graph.operators if codes[op.opcodeIndex].customCode == b"ethos-u"]

    def _tensor(self, operator: int, place: int) -> Any:
        return self.graph.tensors[self._operators()[operator].inputs[place]]

    def _buffer(self, operator: int, place: int) -> Any:
        return self.model.buffers[self._tensor(operator, place).buffer]

    def _set(self, operator: int, place: int, content: bytes) -> None:
        self._buffer(operator, place).data = np.frombuffer(content, np.uint8)
        self._tensor(operator, place).shape = [len(content)]


@dataclass
class NpzContainer:
    """`arrays` are the archive's arrays, free to be changed."""

    arrays: dict[str, Any] = field(default_factory=dict)

    def payloads(self) -> list[bytes]:
        return [self.arrays["cmd_data"].tobytes()]

    def set_payload(self, index: int, content: bytes) -> None:
        self.arrays["cmd_data"] = np.frombuffer(content, np.uint8)

    def constants(self) -> list[bytes]:
        return [self.arrays["weight_data"].tobytes()]

    def set_constants(self, index: int, content: bytes) -> None:
        self.arrays["weight_data"] = np.frombuffer(content, np.uint8)

    def close(self) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name, array in self.arrays.items():
                member = io.BytesIO()
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
                archive.writestr(f"{name}.npy", member.getvalue())
        return stream.getvalue()


def open_seed(seed: Seed) -> TfliteContainer | NpzContainer:
    """A fresh container; changing it leaves the seed alone."""
    if seed.suffix == ".npz":
        with np.load(io.BytesIO(seed.data), allow_pickle=True) as archive:
            arrays = {name: archive[name] for name in archive.files}
        # What Vela pickles (names, scales) the simulator does not read.
        return NpzContainer({k: v for k, v in arrays.items() if not v.dtype.hasobject})
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(seed.data, 0))
    return TfliteContainer(model)
