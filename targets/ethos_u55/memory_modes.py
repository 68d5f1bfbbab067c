"""Where Vela puts the model and its feature maps."""

from __future__ import annotations

from enum import Enum

__all__ = ["MemoryMode"]


class MemoryMode(str, Enum):
    """A Vela memory mode that exists for the Ethos-U55, valued by Vela's name."""

    SHARED_SRAM = "Shared_Sram"
    SRAM_ONLY = "Sram_Only"

    @property
    def slug(self) -> str:
        """The part of a cell id: `shared_sram`."""
        return self.value.lower()
