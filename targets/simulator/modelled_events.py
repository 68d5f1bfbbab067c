"""Which PMU events the simulator can count, whatever the model."""

from __future__ import annotations

from functools import cache

from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.ports import PortMap
from targets.simulator.timing import estimate
from targets.simulator.timing.events import pmu_events
from targets.simulator.timing.work import network_work
from targets.simulator.traffic.network import network_traffic
from targets.timing_profiles import PROFILES

__all__ = ["modelled_events"]


@cache
def modelled_events() -> frozenset[str]:
    """The events that have a value, whatever the model: those of an empty stream."""
    empty = network_work(network_traffic((), 0, PortMap()), 32)
    nothing = estimate(empty, MemoryMode.SHARED_SRAM, PROFILES["ideal"])
    return frozenset(event.name for event in pmu_events(nothing) if event.value is not None)
