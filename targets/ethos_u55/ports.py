"""The NPU's two AXI ports: beats, bursts, and which port a region uses.

The registers are those of Arm's core driver (`ethosu55_interface.h`), with the defaults of its
`ethosu_config_u55.h`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias, get_args

from bench.core.errors import ConfigError
from targets.ethos_u55.memory_modes import MemoryMode

__all__ = [
    "AXI_LIMITS",
    "BEAT_BYTES",
    "BURSTS",
    "BURST_BYTES",
    "REGIONS",
    "BurstBytes",
    "Direction",
    "PortMap",
    "port_of_limit",
]

#: Bytes of an AXI data beat: both ports of an Ethos-U55 are 64 bits wide.
BEAT_BYTES = 8
#: The longest burst a port may make, in bytes.
BurstBytes: TypeAlias = Literal[64, 128, 256]
#: The same, indexed by AXI_LIMITn.max_beats 0, 1 and 2; the fourth value is reserved.
BURSTS: tuple[BurstBytes, ...] = get_args(BurstBytes)
#: What Arm's driver programs: max_beats 0.
BURST_BYTES: BurstBytes = 64
#: Regions of the NPU. Each operand names one of BASEP0..BASEP7; QBASE is separate.
REGIONS = 8
#: AXI_LIMIT registers, which QCONFIG and the fields of REGIONCFG choose from.
AXI_LIMITS = 4

_REGIONCFG_BITS = 2


def port_of_limit(limit: int) -> int:
    """The port of an AXI_LIMIT register: 0 and 1 limit AXI0, 2 and 3 AXI1."""
    return limit >> 1


class Direction(Enum):
    """The direction seen from the NPU; the value ends the name of the event that counts beats."""

    READ = "RD_DATA_BEAT_RECEIVED"
    WRITE = "WR_DATA_BEAT_WRITTEN"


@dataclass(frozen=True)
class PortMap:
    """Which AXI port each transfer takes: QCONFIG and the eight fields of REGIONCFG.

    A value of 0..3 selects AXI_LIMIT0..3, see `port_of_limit`. The defaults are those of Arm's
    driver. Raises `ConfigError` for other values.
    """

    qconfig: int = 2
    regioncfg: tuple[int, ...] = (3, 0, 1, 1, 1, 1, 1, 1)
    #: Longest burst of each port in bytes.
    bursts: tuple[BurstBytes, BurstBytes] = (BURST_BYTES, BURST_BYTES)

    def __post_init__(self) -> None:
        limits = {self.qconfig, *self.regioncfg}
        if len(self.regioncfg) != REGIONS or not limits <= set(range(AXI_LIMITS)):
            raise ConfigError(
                f"QCONFIG {self.qconfig} / REGIONCFG {self.regioncfg} is not a port map",
                cure=f"give one value of 0..{AXI_LIMITS - 1} for QCONFIG and {REGIONS} for "
                "REGIONCFG",
            )
        if len(self.bursts) != 2 or not set(self.bursts) <= set(BURSTS):
            raise ConfigError(
                f"bursts of {self.bursts} bytes do not exist",
                cure=f"give one of {', '.join(map(str, BURSTS))} for each port",
            )

    @classmethod
    def for_memory_mode(cls, mode: MemoryMode) -> PortMap:
        """The usual values for Vela's memory mode.

        Shared_Sram: the defaults of Arm's driver. Sram_Only: everything on AXI0, with the QCONFIG
        and REGIONCFG of ExecuTorch's Corstone-300 build.
        """
        if mode is MemoryMode.SRAM_ONLY:
            return cls(qconfig=1, regioncfg=(1, 0, 0, 0, 0, 0, 0, 0))
        return cls()

    @classmethod
    def from_registers(cls, qconfig: int, regioncfg: int, axi_limits: Sequence[int]) -> PortMap:
        """The map that QCONFIG, REGIONCFG and AXI_LIMIT0..3 describe; spare bits are ignored.

        The two limits of a port are assumed to be equal, because all software programs them so. A
        reserved max_beats counts as the longest burst.
        """
        mask = AXI_LIMITS - 1
        first, second = (
            BURSTS[min(axi_limits[limit] & 3, len(BURSTS) - 1)] for limit in (0, AXI_LIMITS // 2)
        )
        fields = tuple(regioncfg >> _REGIONCFG_BITS * region & mask for region in range(REGIONS))
        return cls(qconfig & mask, fields, (first, second))

    @property
    def regioncfg_word(self) -> int:
        """REGIONCFG as a register: two bits per region, region 0 lowest."""
        return sum(limit << _REGIONCFG_BITS * region for region, limit in enumerate(self.regioncfg))

    def port(self, region: int | None) -> int:
        """0 or 1: the port of a region, or of the command stream (None)."""
        return port_of_limit(self.qconfig if region is None else self.regioncfg[region])

    def burst(self, region: int | None) -> BurstBytes:
        """Longest burst, bytes, on the port of a region or of the command stream (None)."""
        return self.bursts[self.port(region)]
