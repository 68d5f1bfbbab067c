"""Where the FVP's executable is: the setting, the environment, the search path."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from bench.core.errors import PrerequisiteError, TargetUnavailableError
from bench.core.files import expanded
from bench.core.logging import logger

__all__ = ["NAMES", "VARIABLE", "find_executable"]

_LOG = logger(__name__)

#: The environment variable that names the executable.
VARIABLE = "BENCH_FVP"

#: Arm's names for it: ecosystem archive, AVH and Keil MDK, Arm's old virtual hardware image.
NAMES = (
    "FVP_Corstone_SSE-300_Ethos-U55",
    "FVP_Corstone_SSE-300",
    "VHT_Corstone_SSE-300_Ethos-U55",
)


def find_executable(setting: str, environment: Mapping[str, str] = os.environ) -> Path:
    """The executable's absolute path: `setting`, then $BENCH_FVP, then Arm's names on $PATH.

    Setting and variable are a path or a name on $PATH. Raises `PrerequisiteError`, which says what
    was looked for and where, or `TargetUnavailableError` if none was named and none was found.
    """
    search = environment.get("PATH", os.defpath)
    for origin, name in (
        ("targets.fvp.executable", setting),
        (f"${VARIABLE}", environment.get(VARIABLE, "")),
    ):
        if name:
            found = shutil.which(expanded(Path(name)), path=search)
            if found is None:
                raise PrerequisiteError(
                    f"{origin} names {name}, which is not an executable here",
                    cure="correct the path, and make the file executable (chmod +x)",
                )
            return Path(found).absolute()
    for name in NAMES:
        found = shutil.which(name, path=search)
        if found is not None:
            _LOG.info("the FVP is %s, as nothing names another", found)
            return Path(found).absolute()
    raise TargetUnavailableError(
        "target fvp needs Arm's Corstone-300 FVP, and none was found: targets.fvp.executable and "
        f"${VARIABLE} are not set, and {', '.join(NAMES)} are not on $PATH",
        cure="docs/fvp.md says how to install it, or how to run it in a container",
    )
