"""The NPU's registers, which keep their values: read field by field, with each field's rules."""

from __future__ import annotations

from dataclasses import dataclass, field

from targets.artefact.errors import StreamError
from targets.artefact.stream.registers import Reg
from targets.ethos_u55.addresses import ADDRESS_BITS

__all__ = ["RegisterFile"]


@dataclass
class RegisterFile:
    """Register values while one stream is decoded.

    A value is `parameter << 32 | payload` for a register with a payload, otherwise the parameter.
    `word` and `operation` name the operation that reads the registers, for error messages.
    """

    values: dict[int, int] = field(default_factory=dict)
    word: int = 0
    operation: str = ""

    def get(self, register: Reg) -> int:
        """The raw value. Raises `StreamError` when the stream has never set it."""
        value = self.values.get(register)
        if value is None:
            raise self.fault(f"needs NPU_SET_{register.name}, which was never set")
        return value

    def signed16(self, register: Reg, *, signed: bool) -> int:
        """A 16-bit parameter, sign-extended when `signed`."""
        value = self.get(register)
        return value - 0x1_0000 if signed and value & 0x8000 else value

    def distance(self, register: Reg) -> int:
        """A 40-bit two's complement number of bytes, because strides may be negative."""
        value = self.get(register)
        return value - (1 << ADDRESS_BITS) if value >> (ADDRESS_BITS - 1) else value

    def scale(self, register: Reg) -> tuple[int, int]:
        """Multiplier (32 bits, unsigned) and shift of a scale register."""
        value = self.get(register)
        return value & 0xFFFF_FFFF, value >> 32

    def aligned(self, register: Reg, alignment: int) -> int:
        """A value that must be a multiple of `alignment`."""
        value = self.get(register)
        if value % alignment:
            raise self.fault(f"{register.name} {value:#x} is not a multiple of {alignment}")
        return value

    def fault(self, what: str) -> StreamError:
        """An error of the operation that is being decoded."""
        return StreamError(what, word=self.word, operation=self.operation)
