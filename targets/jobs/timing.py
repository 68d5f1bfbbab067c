"""From a timing profile to the registers of the two timing adapters and of the NPU's limits."""

from __future__ import annotations

from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.ports import AXI_LIMITS, port_of_limit
from targets.jobs.device_job import AxiLimit, TimingAdapter
from targets.timing_profiles import PortTiming, TimingProfile

__all__ = ["axi_limits", "timing_adapters"]

#: Bit 0 of MODE, as in every configuration of Arm's ML embedded evaluation kit: "enable dynamic
#: clocking to avoid underrun". The bits for random reordering stay 0.
_DYNAMIC_CLOCKING = 1


def timing_adapters(
    profile: TimingProfile, memory_mode: MemoryMode
) -> tuple[TimingAdapter, TimingAdapter]:
    """The adapters of ports 0 and 1 that make a device's memories those of `profile`."""
    return _adapter(profile.port(0, memory_mode)), _adapter(profile.port(1, memory_mode))


def axi_limits(profile: TimingProfile, memory_mode: MemoryMode) -> tuple[AxiLimit, ...]:
    """AXI_LIMIT0..3, each with the profile's burst for its port."""
    ports = [AxiLimit(burst_bytes=burst) for burst in profile.bursts(memory_mode)]
    return tuple(ports[port_of_limit(limit)] for limit in range(AXI_LIMITS))


def _adapter(port: PortTiming) -> TimingAdapter:
    # The burst is a register of the NPU, not of the adapter.
    return TimingAdapter(**port.model_dump(exclude={"burst"}), mode=_DYNAMIC_CLOCKING)
