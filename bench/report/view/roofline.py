"""The roofline of a cell: how much it computes for each byte of constants, and what is possible.

A network computes at most as many MACs a cycle as the accelerator has, and at most as many as its
memory can feed (Williams et al., "Roofline: an insightful visual performance model", 2009). The
memory here is the one behind AXI1, from which the constants come.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.plan.config import profile_name
from bench.plan.metrics import MetricName
from bench.records.run import RunManifest
from bench.report.view.cells import CellView
from targets.ethos_u55.ports import BEAT_BYTES
from targets.timing_profiles import PortTiming

__all__ = ["RooflinePoint", "bytes_per_cycle", "roof_of", "roofline_point"]


@dataclass(frozen=True)
class RooflinePoint:
    """Where a cell is."""

    #: Multiply-accumulates for each byte that AXI1 reads.
    macs_per_byte: float
    #: Multiply-accumulates in each cycle that the NPU is active.
    macs_per_cycle: float


def roofline_point(cell: CellView) -> RooflinePoint | None:
    """The place of `cell`; None if it has no MACs, no cycles, or no constants."""
    macs = cell.value(MetricName.MACS)
    cycles = cell.value(MetricName.NPU_CYCLES)
    beats = cell.value(MetricName.AXI1_READ)
    if not macs or not cycles or not beats:
        return None
    return RooflinePoint(macs / (beats * BEAT_BYTES), macs / cycles)


def bytes_per_cycle(port: PortTiming) -> float:
    """The most bytes that `port` can deliver in a cycle of the NPU.

    The cap on beats in a period and the outstanding reads, each of which waits for the latency, are
    taken into account; both are the timing adapter's settings.
    """
    most = float(BEAT_BYTES)
    if port.bwcap and port.period:
        most = min(most, port.bwcap * BEAT_BYTES / port.period)
    reads = min((n for n in (port.maxr, port.maxrw) if n), default=0)
    if reads:
        beats = port.burst / BEAT_BYTES
        most = min(most, reads * port.burst / (port.rlatency + beats))
    return most


def roof_of(cell: CellView, manifest: RunManifest | None) -> float | None:
    """Bytes a cycle from the memory behind AXI1 as the run configured it; None if not known."""
    if cell.record is None or manifest is None:
        return None
    identity = cell.record.cell
    try:
        name = profile_name(identity.timing, identity.system_config)
    except KeyError:
        # A system configuration of the user's own, in a record of another version.
        return None
    profile = manifest.timing.get(name)
    return None if profile is None else bytes_per_cycle(profile.port(1, identity.memory_mode))
