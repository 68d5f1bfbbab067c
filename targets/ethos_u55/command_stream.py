"""The unit of the command stream."""

from __future__ import annotations

__all__ = ["WORD_BYTES"]

#: Bytes of a word: QREAD and QSIZE count bytes, everything else of the stream 32-bit words.
WORD_BYTES = 4
