r"""Frames: the lines in which the firmware answers over a UART.

    BENCH1 <number> <text> {<JSON object>} *<CRC-32>\r\n

`number` counts frames from 0. `text` is for people and has no braces. The CRC-32 (zlib's, eight
upper-case hexadecimal digits) covers everything from `BENCH1` to the closing brace. Other text may
come between frames, or before a frame on its line. So a reader recognises a damaged frame (its CRC
fails), a lost frame (a gap in the numbers) and an answer that was cut off (no `end` frame, which
states the number of frames). No single lost or changed byte goes unnoticed, except in the line
ending, which carries no information.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "LINE_MAX",
    "Damaged",
    "Event",
    "Frame",
    "FrameParser",
    "Lost",
    "Restarted",
    "Text",
]

_MARKER = b"BENCH1 "
_FRAME = re.compile(rb"BENCH1 ([0-9]{1,10}) ([^{}\n]*) (\{.*\}) \*([0-9A-F]{8})\r*")
#: Longer lines are cut; the firmware's longest frame has 1024 bytes.
LINE_MAX = 4096
_EXCERPT = 120


@dataclass(frozen=True)
class Frame:
    """A sound frame."""

    number: int
    text: str
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Text:
    """A line, or a piece of one, that is not a frame."""

    line: str


@dataclass(frozen=True)
class Damaged:
    """Something that begins like a frame but is not one."""

    reason: str
    excerpt: str


@dataclass(frozen=True)
class Lost:
    """Frames that never came: `count` of them from number `first`."""

    first: int
    count: int


@dataclass(frozen=True)
class Restarted:
    """The numbers start again at 0, so the device was reset."""


Event = Frame | Text | Damaged | Lost | Restarted


class FrameParser:
    """Turns a UART's bytes, cut anywhere, into events. Holds at most `LINE_MAX` bytes."""

    def __init__(self) -> None:
        self._pending = b""
        self._next = 0

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes."""
        events: list[Event] = []
        *lines, rest = (self._pending + data).split(b"\n")
        for line in lines:
            events += self._line(line)
        while len(rest) > LINE_MAX:
            # No end in sight: drop the line, but keep a marker that may be cut in two.
            events += self._line(rest[:LINE_MAX])
            kept = rest[LINE_MAX - len(_MARKER) + 1 : LINE_MAX]
            start = next((i for i in range(len(kept)) if _MARKER.startswith(kept[i:])), len(kept))
            rest = kept[start:] + rest[LINE_MAX:]
        self._pending = rest
        return events

    def finish(self) -> list[Event]:
        """The events of a last line without an end."""
        line, self._pending = self._pending, b""
        return list(self._line(line))

    def _line(self, line: bytes) -> Iterator[Event]:
        before, *pieces = line.split(_MARKER)
        text = before.rstrip(b"\r")
        if text.strip():
            yield Text(text[:LINE_MAX].decode("utf-8", "replace"))
        for piece in pieces:
            yield from self._piece(_MARKER + piece)

    def _piece(self, piece: bytes) -> Iterator[Event]:
        match = _FRAME.fullmatch(piece)
        if match is None:
            yield Damaged("not in the form of a frame", _excerpt(piece))
            return
        stated, found = int(match[4], 16), zlib.crc32(piece[: match.end(3)])
        if stated != found:
            yield Damaged(f"CRC-32 {stated:08X}, but {found:08X} found", _excerpt(piece))
            return
        try:
            payload = json.loads(match[3])
            text = match[2].decode("ascii")
        except ValueError as error:
            yield Damaged(f"unreadable: {error}", _excerpt(piece))
            return
        number = int(match[1])
        if number < self._next and number > 0:
            yield Damaged(f"frame {number} again", _excerpt(piece))
            return
        if number < self._next:
            yield Restarted()
        elif number > self._next:
            yield Lost(self._next, number - self._next)
        self._next = number + 1
        yield Frame(number, text, payload)


def _excerpt(piece: bytes) -> str:
    return piece[:_EXCERPT].decode("ascii", "backslashreplace")
