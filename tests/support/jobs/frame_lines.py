"""Writes frames as the firmware does."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

__all__ = ["frame_line"]


def frame_line(number: int, text: str, payload: Mapping[str, Any]) -> bytes:
    """The line of one frame, its end included."""
    body = f"BENCH1 {number} {text} {json.dumps(payload, separators=(',', ':'))}".encode("ascii")
    return b"%b *%08X\r\n" % (body, zlib.crc32(body))
