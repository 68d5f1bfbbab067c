"""The four configurations of the Ethos-U55.

From Vela (`accelerator_configs` of `architecture_features.py`).
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["MAC_COUNTS", "Accelerator"]


class Accelerator(IntEnum):
    """An Ethos-U55 configuration, valued by its multiply-accumulate units per cycle."""

    U55_32 = 32
    U55_64 = 64
    U55_128 = 128
    U55_256 = 256

    @property
    def slug(self) -> str:
        """The part of a cell id: `u55_128`."""
        return f"u55_{int(self)}"

    @property
    def vela_name(self) -> str:
        """The value of Vela's `--accelerator-config`: `ethos-u55-128`."""
        return f"ethos-u55-{int(self)}"


#: The possible numbers of multiply-accumulate units, ascending; numbers from outside are checked
#: against these.
MAC_COUNTS: tuple[int, ...] = tuple(int(accelerator) for accelerator in Accelerator)
