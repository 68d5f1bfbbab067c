"""The registers that say which NPU it is: CONFIG, ID, and the identification of any Arm peripheral.

The fields are those of Arm's core driver (`ethosu55_interface.h`). Vela writes the same words in
front of a command stream, and the driver refuses to run it if they differ from the NPU's.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bench.core.units import KIB
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.shram import shram_bytes

__all__ = ["ARCHITECTURE", "CONFIG_WORDS", "IDENTITY", "PERIPHERAL_IDENTITY"]

#: Major version of the architecture, bits 31:28 of ID.
ARCHITECTURE = 1
#: ID of the NPU that Vela's regor compiles for: architecture 1.0.6.
IDENTITY = 0x1006_6001


def _config(accelerator: Accelerator) -> int:
    """Log2 of the MACs in bits 3:0, KiB of SHRAM in bits 15:8.

    The version of the stream (7:4), the product (31:28; the Ethos-U65 is 1) and the rest are 0.
    """
    return accelerator.bit_length() - 1 | shram_bytes(accelerator) // KIB << 8


#: Accelerator -> its CONFIG: 0x1005, 0x1006, 0x1807, 0x3008.
CONFIG_WORDS: Mapping[Accelerator, int] = MappingProxyType({a: _config(a) for a in Accelerator})

#: Offset -> value of PID4..7, PID0..3 and CID0..3: part 0x580 by Arm (JEP106 code 0x3B after four
#: continuations), a component of class 15. The values are those that the constructors of
#: `pid0_r` to `cid3_r` give them in `ethosu55_interface.h`.
PERIPHERAL_IDENTITY: Mapping[int, int] = MappingProxyType(
    dict(
        zip(
            range(0xFD0, 0x1000, 4),
            (4, 0, 0, 0, 0x80, 0xB5, 0x0B, 0, 0x0D, 0xF0, 0x05, 0xB1),
            strict=True,
        )
    )
)
