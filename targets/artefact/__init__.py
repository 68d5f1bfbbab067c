"""Reading compiled models: what Vela wrote, as frozen objects.

`load_artefact` reads what Vela writes, a `.tflite` (COP1 or COP2 payloads) or a raw `.npz`,
into one frozen `Artefact`; nothing after it knows flatbuffers or driver actions.
"""

from __future__ import annotations

from pathlib import Path

from targets.artefact.model import (
    ArenaRegion,
    Artefact,
    CpuOperator,
    FlashRegion,
    InterfaceRegion,
    ModelTensor,
    NpuOperator,
    Region,
)
from targets.artefact.raw import load_raw
from targets.artefact.tflite import load_tflite

__all__ = [
    "ArenaRegion",
    "Artefact",
    "CpuOperator",
    "FlashRegion",
    "InterfaceRegion",
    "ModelTensor",
    "NpuOperator",
    "Region",
    "load_artefact",
]


def load_artefact(path: Path) -> Artefact:
    """Read the compiled model at `path`: `.npz` is Vela's raw format, anything else TFLite.

    Raises `ModelError` when the file is missing, damaged, or not what Vela writes, `StreamError`
    when a command stream in it is malformed.
    """
    return load_raw(path) if path.suffix == ".npz" else load_tflite(path)
