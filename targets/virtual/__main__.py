"""`python -m targets.virtual`: the virtual Corstone-300 with the FVP's command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from targets.virtual.shell import main

if TYPE_CHECKING:
    from targets.virtual.backend import NpuBackend


def _simulator(timed: bool) -> NpuBackend:
    from targets.virtual.simulator_backend import SimulatorBackend

    return SimulatorBackend(timed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], _simulator))
