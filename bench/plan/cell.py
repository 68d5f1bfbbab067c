"""A cell: one point of the grid workload x variant x accelerator x memory mode x target x Vela."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.system_configs import DEFAULT_SYSTEM_CONFIG

__all__ = [
    "DEFAULT_TIMING",
    "INSTALLED_VELA",
    "NAME_PATTERN",
    "Cell",
]

#: Names that become part of a cell id: without a dash (the separator), and safe in file names.
NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]*")

#: The timing profile that goes with a cell's system configuration.
DEFAULT_TIMING = "default"

#: The Vela that is installed beside the bench, whichever version that is.
INSTALLED_VELA = "installed"


@dataclass(frozen=True)
class Cell:
    """One measurement to make. Frozen, hashable; `id` names it everywhere."""

    workload: str
    variant: str
    accelerator: Accelerator
    memory_mode: MemoryMode
    target: str
    system_config: str = DEFAULT_SYSTEM_CONFIG
    timing: str = DEFAULT_TIMING
    #: A version of Vela, such as `5.0.0`, or `INSTALLED_VELA`.
    vela: str = INSTALLED_VELA

    @cached_property
    def id(self) -> str:
        """Unique, file-name safe and stable: `mnist_fc-pruned-u55_128-shared_sram-sim`.

        System configuration, timing profile and version of Vela are appended only if they are not
        the default, so an id does not depend on what else is in the grid.
        """
        parts = [
            self.workload,
            self.variant,
            self.accelerator.slug,
            self.memory_mode.slug,
            self.target,
        ]
        if self.system_config != DEFAULT_SYSTEM_CONFIG:
            parts.append(self.system_config.lower())
        if self.timing != DEFAULT_TIMING:
            parts.append(f"ta_{self.timing}")
        if self.vela != INSTALLED_VELA:
            parts.append(f"vela_{self.vela.replace('.', '_')}")
        return "-".join(parts)

    @property
    def family(self) -> str:
        """The cells that share one quantised model: `mnist_fc-pruned`."""
        return f"{self.workload}-{self.variant}"
