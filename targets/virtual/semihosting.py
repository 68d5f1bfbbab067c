"""Semihosting calls (Arm's specification 2.0): those that a program needs to print and to end."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from targets.virtual.errors import MachineError
from targets.virtual.memory import Memory

__all__ = ["Exit", "Semihosting"]

_WRITEC = 0x03
_WRITE0 = 0x04
_EXIT = 0x18
_EXIT_EXTENDED = 0x20
_NORMAL_END = 0x20026
_UNSUPPORTED = -1
_STRING_MAX = 65536

#: A file of this name in the working directory says which extensions a debugger has.
_FEATURES = ":semihosting-features"
_FEATURES_MAGIC = b"SHFB"
_EXIT_CODES = 1


@dataclass(frozen=True)
class Exit:
    """The program ended; `status` is the executable's exit status."""

    status: int


class Semihosting:
    """Answers calls. `output` gets what is printed, `directory` is the working directory."""

    def __init__(
        self, output: Callable[[bytes], None], directory: Path, *, enabled: bool = True
    ) -> None:
        self._output = output
        self._directory = directory
        self._enabled = enabled

    def call(self, operation: int, parameter: int, memory: Memory) -> int | Exit:
        """The result of a call, or the program's end.

        Raises `MachineError` when semihosting is off: the breakpoint has no debugger to stop in.
        """
        if not self._enabled:
            raise MachineError("the processor locked up: a breakpoint, and semihosting is off")
        if operation == _WRITEC:
            self._output(memory.read(parameter, 1))
            return 0
        if operation == _WRITE0:
            self._output(_string(parameter, memory))
            return 0
        if operation == _EXIT:
            return Exit(0 if parameter == _NORMAL_END else 1)
        if operation == _EXIT_EXTENDED:
            reason, code = struct.unpack("<2I", memory.read(parameter, 8))
            return Exit(self._status(reason, code))
        return _UNSUPPORTED

    def _status(self, reason: int, code: int) -> int:
        """The exit status: the code counts only if the features file says so."""
        if reason != _NORMAL_END:
            return 1
        features = self._directory / _FEATURES
        content = features.read_bytes() if features.is_file() else b""
        counts = content[:4] == _FEATURES_MAGIC and len(content) > 4 and content[4] & _EXIT_CODES
        return code & 0xFF if counts else 0


def _string(address: int, memory: Memory) -> bytes:
    block, offset = memory.find(address)
    return bytes(block.contents[offset : offset + _STRING_MAX].tobytes().partition(b"\0")[0])
