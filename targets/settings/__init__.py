"""The settings of the targets: the section `[targets]` of `bench.toml`, with a table for each."""

from __future__ import annotations

from bench.core.schema import StrictModel
from targets.settings.fvp import FvpSettings
from targets.settings.mps3 import Mps3Settings
from targets.settings.sim import SimSettings
from targets.settings.waits import LONGEST_WAIT_S

__all__ = ["LONGEST_WAIT_S", "TargetSettings"]


class TargetSettings(StrictModel):
    """Settings of the targets that have any."""

    sim: SimSettings = SimSettings()
    fvp: FvpSettings = FvpSettings()
    mps3: Mps3Settings = Mps3Settings()
