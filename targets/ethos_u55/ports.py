"""The NPU's two AXI ports: beats, bursts, and which port a region uses."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bench.core.errors import ConfigError
from targets.ethos_u55.memory_modes import MemoryMode

__all__ = [
    "BEAT_BYTES",
    "BURST_BYTES",
    "REGIONS",
    "Direction",
    "MemoryArea",
    "PortMap",
    "memory_area",
]

#: Bytes of an AXI data beat: both ports of an Ethos-U55 are 64 bits wide.
BEAT_BYTES = 8
#: Longest AXI burst under Arm's driver defaults (AXI_LIMITn.max_beats = 0).
BURST_BYTES = 64
#: Regions of the NPU: QBASE apart, each operand names one of BASEP0..BASEP7.
REGIONS = 8


class Direction(Enum):
    """Seen from the NPU; valued by the tail of the PMU event that counts its beats."""

    READ = "RD_DATA_BEAT_RECEIVED"
    WRITE = "WR_DATA_BEAT_WRITTEN"


class MemoryArea(str, Enum):
    """The memory behind a region."""

    FLASH = "flash"
    SRAM = "sram"


@dataclass(frozen=True)
class PortMap:
    """Which AXI port each transfer takes: QCONFIG and the eight fields of REGIONCFG.

    A value of 0..3 selects AXI_LIMIT0..3; 0 and 1 go out on AXI0, 2 and 3 on AXI1. The defaults
    are those of Arm's driver (`ethosu_config_u55.h`). Raises `ConfigError` for other values.
    """

    qconfig: int = 2
    regioncfg: tuple[int, ...] = (3, 0, 1, 1, 1, 1, 1, 1)
    #: Longest burst of each port in bytes (AXI_LIMITn.max_beats 0, 1, 2: 64, 128, 256).
    bursts: tuple[int, int] = (BURST_BYTES, BURST_BYTES)

    def __post_init__(self) -> None:
        if len(self.regioncfg) != REGIONS or not {self.qconfig, *self.regioncfg} <= set(range(4)):
            raise ConfigError(
                f"QCONFIG {self.qconfig} / REGIONCFG {self.regioncfg} is no port map",
                cure=f"Give one value of 0..3 for QCONFIG and {REGIONS} for REGIONCFG.",
            )
        if len(self.bursts) != 2 or not set(self.bursts) <= {64, 128, 256}:
            raise ConfigError(
                f"bursts of {self.bursts} bytes do not exist",
                cure="Give 64, 128 or 256 for each port.",
            )

    @classmethod
    def for_memory_mode(cls, mode: MemoryMode) -> PortMap:
        """What Arm's ports set for Vela's memory mode.

        Shared_Sram: the driver's defaults. Sram_Only: everything on AXI0, as ExecuTorch's
        Corstone-300 build sets QCONFIG and REGIONCFG.
        """
        if mode is MemoryMode.SRAM_ONLY:
            return cls(qconfig=1, regioncfg=(1, 0, 0, 0, 0, 0, 0, 0))
        return cls()

    def port(self, region: int | None) -> int:
        """0 or 1: the port of a region, or of the command stream (None)."""
        return (self.qconfig if region is None else self.regioncfg[region]) >> 1

    def burst(self, region: int | None) -> int:
        """Longest burst, bytes, on the port of a region or of the command stream (None)."""
        return self.bursts[self.port(region)]


def memory_area(region: int | None, mode: MemoryMode) -> MemoryArea:
    """Where a region (None: the command stream) lies under Vela's memory mode.

    Vela's regions: 0 constants, 1 arena, 2 fast scratch. Constants and the command stream are in
    flash in Shared_Sram; Sram_Only knows no other memory than SRAM.
    """
    constant = region is None or region == 0
    return MemoryArea.FLASH if constant and mode is MemoryMode.SHARED_SRAM else MemoryArea.SRAM
