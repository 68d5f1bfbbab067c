"""How long an inference takes: cycles, PMU events and what binds each operation.

Every figure is an estimate. `estimate` is the entry point; `explain`, `pmu_events` and
`chrome_trace` present its result.
"""

from __future__ import annotations

from targets.simulator.timing.estimate import estimate
from targets.simulator.timing.results import Bound, NetworkTiming, OperationTiming
from targets.timing_profiles import PROFILES, PortTiming, TimingProfile, named_profile

__all__ = [
    "PROFILES",
    "Bound",
    "NetworkTiming",
    "OperationTiming",
    "PortTiming",
    "TimingProfile",
    "estimate",
    "named_profile",
]
