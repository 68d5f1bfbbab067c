"""Between which figures an estimate could lie, as far as it is known what it could depend on.

Two things are open: the choices that no public source settles (`assumptions`), and at which point
of their periods the timing adapters are when the NPU starts. The estimate is made again for each
alternative and for several such points, one change at a time.

It is no bound on the model's error. What all alternatives have in common can be wrong as well;
docs/fidelity.md compares the estimates with published cycles.
"""

from __future__ import annotations

from collections.abc import Sequence

from targets.ethos_u55.memory_modes import MemoryMode
from targets.protocol import Uncertainty
from targets.simulator.timing.assumptions import ALTERNATIVES
from targets.simulator.timing.estimate import estimate
from targets.simulator.timing.results import NetworkTiming
from targets.simulator.timing.work import NetworkWork
from targets.timing_profiles import TimingProfile

__all__ = ["starts", "uncertainty"]


def uncertainty(
    works: Sequence[NetworkWork], mode: MemoryMode, profile: TimingProfile, decided: int
) -> Uncertainty:
    """The smallest and the largest NPU_ACTIVE, in cycles; `decided` lies between them.

    `works` are those of the `ethos-u` operators, which run one after the other, and `decided` is
    the estimate as it is given.
    """
    found = [decided]
    for each in ALTERNATIVES:
        changed = [work.under(each) for work in works]
        found.append(_cycles(changed, mode, profile, 0.0))
    found += [_cycles(works, mode, profile, start) for start in starts(mode, profile)]
    return Uncertainty(low=min(found), high=max(found))


def starts(mode: MemoryMode, profile: TimingProfile) -> tuple[float, ...]:
    """Cycles at which the NPU could start: quarters of the shortest period, half of the others."""
    shortest, *others = sorted({profile.port(port, mode).period for port in (0, 1)} - {0}) or [0]
    quarters = {shortest * quarter / 4 for quarter in (1, 2, 3)}
    return tuple(sorted({*quarters, *(period / 2 for period in others)} - {0.0}))


def _cycles(
    works: Sequence[NetworkWork], mode: MemoryMode, profile: TimingProfile, start: float
) -> int:
    parts = (estimate(work, mode, profile, start=start) for work in works)
    return NetworkTiming.joined(parts).npu_active
