"""From a timing profile to the registers of the two timing adapters."""

from __future__ import annotations

from bench.cell import MemoryMode
from targets.jobs.device_job import TimingAdapter
from targets.simulator.timing.profiles import PortTiming, TimingProfile

__all__ = ["timing_adapters"]

#: Bit 0 of MODE, as in every configuration of Arm's ML embedded evaluation kit: "enable dynamic
#: clocking to avoid underrun". The bits for random reordering stay 0.
_DYNAMIC_CLOCKING = 1


def timing_adapters(
    profile: TimingProfile, memory_mode: MemoryMode
) -> tuple[TimingAdapter, TimingAdapter]:
    """The adapters of ports 0 and 1 that make a device's memories those of `profile`."""
    return _adapter(profile.port(0, memory_mode)), _adapter(profile.port(1, memory_mode))


def _adapter(port: PortTiming) -> TimingAdapter:
    return TimingAdapter(**port.model_dump(), mode=_DYNAMIC_CLOCKING)
