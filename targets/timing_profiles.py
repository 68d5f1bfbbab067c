"""The memories behind the AXI ports: the timing adapters' parameters, and named sets of them.

Arm's timing adapter (TA) is a bridge in front of a memory. It delays responses and limits the
transactions in flight. A Corstone-300 has one on each port of the Ethos-U55. The FVP and the FPGA
system take the same parameters, so one profile describes both.

Sources: `u55_high_end` is `ta_config_u55_high_end.cmake` of Arm's ML embedded evaluation kit,
which also holds the rule for Sram_Only: the adapter of the second port takes the values of the
first. `u55_deep_embedded` has no published file; see `_DEEP_EMBEDDED`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bench.core.errors import ConfigError
from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.ports import BURST_BYTES, BurstBytes

__all__ = [
    "LATENCY_MAX",
    "OUTSTANDING_MAX",
    "PERIOD_MAX",
    "PROFILES",
    "PortTiming",
    "TimingProfile",
    "named_profile",
]

#: The widths of the adapter's registers: 6, 12 and 16 bits.
OUTSTANDING_MAX = 0x3F
LATENCY_MAX = 0xFFF
PERIOD_MAX = 0xFFFF

_Outstanding = Annotated[int, Field(ge=0, le=OUTSTANDING_MAX)]
_Latency = Annotated[int, Field(ge=0, le=LATENCY_MAX)]
_Cycles = Annotated[int, Field(ge=0, le=PERIOD_MAX)]


class PortTiming(BaseModel):
    """The adapter of one port. Fields are as wide as its registers; cycles are the NPU's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: The most reads, writes, and reads and writes together in flight; 0 = no limit.
    maxr: _Outstanding = 0
    maxw: _Outstanding = 0
    maxrw: _Outstanding = 0
    #: Cycles from a read's address to its first data beat.
    rlatency: _Latency = 0
    #: Cycles from a write's last data beat to its response.
    wlatency: _Latency = 0
    #: In each period, addresses pass for `pulse_on` cycles and are blocked for `pulse_off` cycles.
    pulse_on: _Cycles = 0
    pulse_off: _Cycles = 0
    #: Beats of 8 bytes per period, reads and writes together; 0 = no limit. It is checked for each
    #: transaction: once it is reached or exceeded, nothing starts before the next period.
    bwcap: _Cycles = 0
    #: Longest burst of the NPU on this port, in bytes: AXI_LIMITn.max_beats. It is not a setting of
    #: the adapter, but the adapter's limits count bursts. The default is what Arm's driver sets.
    burst: BurstBytes = BURST_BYTES

    @property
    def period(self) -> int:
        """Cycles of a pulse period; 0: addresses are never blocked and nothing is capped."""
        return self.pulse_on + self.pulse_off

    @property
    def blocked(self) -> bool:
        """Whether no address ever passes, so that nothing on this port ends."""
        return self.pulse_on == 0 and self.pulse_off > 0


class TimingProfile(BaseModel):
    """The memories of a system. Frozen and hashable, because it is part of a cell's identity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Behind AXI0: the SRAM.
    sram: PortTiming
    #: Behind AXI1: the flash.
    ext: PortTiming

    @field_validator("sram", "ext")
    @classmethod
    def _lets_addresses_pass(cls, port: PortTiming) -> PortTiming:
        if port.blocked:
            raise ValueError(
                f"pulse_on 0 with pulse_off {port.pulse_off} lets no address pass: "
                "give a pulse_on of at least 1, or a pulse_off of 0"
            )
        return port

    def port(self, number: int, mode: MemoryMode) -> PortTiming:
        """The adapter of AXI port 0 or 1. In Sram_Only both are SRAM."""
        return self.ext if number == 1 and mode is MemoryMode.SHARED_SRAM else self.sram

    def bursts(self, mode: MemoryMode) -> tuple[BurstBytes, BurstBytes]:
        """Longest burst of each port in bytes."""
        return self.port(0, mode).burst, self.port(1, mode).burst


_SRAM = PortTiming(maxr=8, maxw=8, rlatency=32, wlatency=32, pulse_on=3999, pulse_off=1, bwcap=4000)
#: Derived, not published: Vela's `Ethos_U55_Deep_Embedded` has the latencies and outstanding
#: reads of `Ethos_U55_High_End_Embedded` but half its flash clock scale (0.0625 instead of 0.125).
#: So the cap per period is half: 25 beats of 8 bytes in 400 cycles.
_DEEP_EMBEDDED_CAP = 25

PROFILES: Mapping[str, TimingProfile] = MappingProxyType(
    {
        "u55_high_end": TimingProfile(
            sram=_SRAM,
            ext=PortTiming(maxr=2, rlatency=64, pulse_on=320, pulse_off=80, bwcap=50),
        ),
        "u55_deep_embedded": TimingProfile(
            sram=_SRAM,
            ext=PortTiming(
                maxr=2, rlatency=64, pulse_on=320, pulse_off=80, bwcap=_DEEP_EMBEDDED_CAP
            ),
        ),
        # One beat per cycle without delay: what remains is the NPU itself.
        "ideal": TimingProfile(sram=PortTiming(), ext=PortTiming()),
    }
)


def named_profile(name: str) -> TimingProfile:
    """The built-in profile called `name`. Raises `ConfigError` if there is none."""
    profile = PROFILES.get(name)
    if profile is None:
        raise ConfigError(
            f"there is no timing profile {name!r}",
            cure=f"use one of {', '.join(PROFILES)}, or define it in bench.toml",
        )
    return profile
