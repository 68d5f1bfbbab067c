"""The targets by name, and how each is made and checked.

A target's modules are imported when it is first made or checked. So code that needs only the names
does not load the simulator, the board's drivers or NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from targets.settings import TargetSettings

if TYPE_CHECKING:
    from bench.tflite.reference import Reference
    from targets.checkup import Checkup, Finding
    from targets.protocol import Target

__all__ = ["DEVICES", "EXCLUSIVE", "TARGETS", "RegisteredTarget", "TargetContext"]


@dataclass(frozen=True)
class TargetContext:
    """What a target may ask of the bench."""

    #: For targets that give no outputs of their own.
    reference: Reference
    settings: TargetSettings
    #: Where targets keep the output of their devices; a directory of the run, made when needed.
    logs: Path
    #: (target, what it is doing; "" = nothing): progress of a long measurement.
    progress: Callable[[str, str], None] = lambda target, text: None


@dataclass(frozen=True)
class RegisteredTarget:
    """A target that the bench knows."""

    #: Makes the target. Loads its modules; does no work.
    make: Callable[[TargetContext], Target]
    #: Whether it could work here, for `bench doctor`.
    check: Checkup
    #: One device, or a pool that shares out its work: under xdist, one worker has all of it.
    exclusive: bool = False
    #: It runs something that is not ours, which can fail today and work tomorrow.
    device: bool = False


def _make_sim(context: TargetContext) -> Target:
    from targets.sim import SimulatorTarget

    return SimulatorTarget(context.settings.sim)


def _check_sim(settings: TargetSettings, logs: Path, *, boot: bool) -> Iterator[Finding]:
    from targets.sim import check_sim

    return check_sim(settings, logs, boot=boot)


def _make_fvp(context: TargetContext) -> Target:
    from targets.fvp.target import FvpTarget

    return FvpTarget(context.settings.fvp, context.logs, context.reference)


def _check_fvp(settings: TargetSettings, logs: Path, *, boot: bool) -> Iterator[Finding]:
    from targets.fvp.doctor import check_fvp

    return check_fvp(settings, logs, boot=boot)


def _make_mps3(context: TargetContext) -> Target:
    from targets.mps3.target import Mps3Target

    return Mps3Target(
        context.settings.mps3, context.logs, progress=partial(context.progress, "mps3")
    )


def _check_mps3(settings: TargetSettings, logs: Path, *, boot: bool) -> Iterator[Finding]:
    from targets.mps3.doctor import check_mps3

    return check_mps3(settings, logs, boot=boot)


def _make_vela(context: TargetContext) -> Target:
    from targets.vela import VelaEstimate

    return VelaEstimate(context.reference)


def _check_vela(settings: TargetSettings, logs: Path, *, boot: bool) -> Iterator[Finding]:
    from targets.vela import check_vela

    return check_vela(settings, logs, boot=boot)


#: By the name on the command line and in cell ids.
TARGETS: Mapping[str, RegisteredTarget] = MappingProxyType(
    {
        "sim": RegisteredTarget(_make_sim, _check_sim),
        "fvp": RegisteredTarget(_make_fvp, _check_fvp, device=True),
        "mps3": RegisteredTarget(_make_mps3, _check_mps3, exclusive=True, device=True),
        "vela": RegisteredTarget(_make_vela, _check_vela),
    }
)

#: The targets whose cells all go to one worker.
EXCLUSIVE: frozenset[str] = frozenset(name for name, one in TARGETS.items() if one.exclusive)

#: The targets that are devices, or programs of others that stand for one.
DEVICES: frozenset[str] = frozenset(name for name, one in TARGETS.items() if one.device)
