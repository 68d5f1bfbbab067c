"""The targets by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.core.arrays import Array
from targets.checkup import Checkup
from targets.fvp.doctor import check_fvp
from targets.fvp.target import FvpTarget
from targets.mps3.doctor import check_mps3
from targets.mps3.target import Mps3Target
from targets.protocol import Target
from targets.settings import TargetSettings
from targets.sim import SimulatorTarget, check_sim
from targets.vela import VelaEstimate, check_vela

__all__ = ["CHECKUPS", "EXCLUSIVE", "TARGETS", "TargetContext"]


@dataclass(frozen=True)
class TargetContext:
    """What a target may ask of the bench."""

    #: (quantised model, inputs `[n, ...]`) -> reference outputs `[n, ...]`.
    reference: Callable[[Path, Sequence[Array]], tuple[Array, ...]]
    settings: TargetSettings
    #: Where targets keep what their devices said; a directory of the run, made when needed.
    logs: Path
    #: (target, what it is doing; "" = nothing any more): for who watches a long measurement.
    progress: Callable[[str, str], None] = lambda target, text: None


#: Name on the command line and in cell ids -> how the target is made. Making one does no work.
TARGETS: dict[str, Callable[[TargetContext], Target]] = {
    "sim": lambda _: SimulatorTarget(),
    "fvp": lambda context: FvpTarget(context.settings.fvp, context.logs, context.reference),
    "mps3": lambda context: Mps3Target(
        context.settings.mps3, context.logs, progress=partial(context.progress, "mps3")
    ),
    "vela": lambda context: VelaEstimate(context.reference),
}

#: Targets with one device for all: under xdist one worker makes all measurements of each.
EXCLUSIVE: frozenset[str] = frozenset({"mps3"})

#: Whether each target could work here, for `bench doctor`.
CHECKUPS: dict[str, Checkup] = {
    "sim": check_sim,
    "fvp": check_fvp,
    "mps3": check_mps3,
    "vela": check_vela,
}
