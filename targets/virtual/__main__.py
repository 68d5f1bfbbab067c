"""`python -m targets.virtual`: the virtual Corstone-300 with the FVP's command line."""

from __future__ import annotations

import sys

from targets.virtual.shell import main
from targets.virtual.simulator_backend import SimulatorBackend

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], SimulatorBackend))
