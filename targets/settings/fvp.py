"""The settings of the FVP in `bench.toml`: the table `[targets.fvp]`."""

from __future__ import annotations

import os
import re
from enum import Enum
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from bench.core.files import expanded
from bench.core.schema import StrictModel
from targets.settings.waits import LONGEST_WAIT_S

__all__ = ["FvpContainerSettings", "FvpSettings", "RunnerName"]

#: Parameters that the bench sets itself, because the answer depends on them.
_OURS = ("ethosu.num_macs", "mps3_board.uart0.", "mps3_board.telnetterminal")
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


class RunnerName(str, Enum):
    """The software that runs the model on the FVP's processor."""

    #: The bench's own firmware: any model, any events, the timing profile, every output.
    BENCH = "bench"
    #: The inference runner of Arm's ML embedded evaluation kit.
    MLEK = "mlek"
    #: ExecuTorch's runner for Arm's bare-metal targets.
    EXECUTORCH = "executorch"


class FvpContainerSettings(StrictModel):
    """The FVP in a container, a new one for each process: `[targets.fvp.container]`."""

    #: An image on this machine, by name; the bench never pulls one.
    image: str
    #: `docker`, `podman`, or a client's path; empty = the installed one, docker first.
    engine: str = ""
    #: The executable inside the image.
    executable: str = "FVP_Corstone_SSE-300_Ethos-U55"
    #: Memory of one container, as the engines write it.
    memory: str = "4g"


class FvpSettings(StrictModel):
    """How the FVP is found and run. The defaults suit Arm's FVP."""

    #: The executable: a path, or a name on PATH. Empty = $BENCH_FVP, then Arm's names on PATH.
    executable: str = ""
    #: Added to the FVP's environment, for example LD_LIBRARY_PATH.
    environment: dict[str, str] = Field(default_factory=dict)
    #: More `-C` parameters. Those that the bench sets itself are refused.
    parameters: dict[str, bool | int | float | str] = Field(default_factory=dict)
    #: A container to use instead of an executable on this machine.
    container: FvpContainerSettings | None = None
    runner: RunnerName = RunnerName.BENCH
    #: The runner's program (.axf), relative to the configuration file. `{workload}`, `{variant}`,
    #: `{macs}` and `{memory_mode}` are replaced by those of the cell; such a program holds the
    #: model itself.
    axf: str = ""
    #: How many inputs of a test set are run at most; 0 = all of them.
    samples: int = Field(default=0, ge=0)
    #: How many inferences one process makes.
    inferences_per_process: int = Field(default=250, ge=1, le=5000)
    #: The fraction by which the cycles of passes and inferences may differ; 0 = not by one cycle.
    cycle_tolerance: float = Field(default=0.0, ge=0, le=0.05)
    #: How many seconds of wall time one process may take.
    timeout_s: float = Field(default=900, gt=0, le=LONGEST_WAIT_S)
    #: How often a process is started again if its failure had nothing to do with the model.
    retries: int = Field(default=1, ge=0, le=10)
    #: How many FVP processes run at once on this machine, for all benches of the user together.
    seats: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=1024)

    @field_validator("parameters")
    @classmethod
    def _parameters_are_not_ours(
        cls, value: dict[str, bool | int | float | str]
    ) -> dict[str, bool | int | float | str]:
        for key, given in value.items():
            if not _NAME.fullmatch(key):
                raise ValueError(f"{key!r} is not the name of a parameter")
            if key.startswith(_OURS):
                raise ValueError(f"{key}: the bench sets this parameter itself")
            if key == "ethosu.extra_args" and "--fast" in str(given):
                raise ValueError(
                    "ethosu.extra_args: with --fast the FVP counts no cycles; never measure with it"
                )
        return value

    @model_validator(mode="after")
    def _one_place(self) -> FvpSettings:
        if self.container is not None and self.executable:
            raise ValueError("executable and container exclude each other: remove one of them")
        if self.runner is RunnerName.BENCH and self.axf:
            raise ValueError("axf: the bench's own firmware needs none; also set a runner")
        if self.runner is RunnerName.EXECUTORCH and not self.axf:
            raise ValueError("runner: executorch needs the program you built: set axf")
        return self

    def resolved(self, root: Path) -> FvpSettings:
        """The same with relative paths taken from `root`; a bare executable name is kept."""

        def at_root(path: str) -> str:
            return str(root / expanded(Path(path)))

        return self.model_copy(
            update={
                "executable": at_root(self.executable)
                if "/" in self.executable
                else self.executable,
                "axf": at_root(self.axf) if self.axf else "",
            }
        )
