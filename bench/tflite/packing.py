"""How a `.tflite` is written: its identifier, and a model packed into a flatbuffer."""

from __future__ import annotations

from typing import Any

import flatbuffers

__all__ = ["IDENTIFIER", "packed"]

#: The four bytes at offset 4 of every `.tflite` file.
IDENTIFIER = b"TFL3"


def packed(model: Any) -> bytes:
    """The file of `model`, a `ModelT`. Raises one of `EXTRACT_DAMAGE` for a damaged one."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())
