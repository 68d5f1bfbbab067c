"""The command of the main job: pytest with the regression suites of this bench.

pytest reads no configuration but ours, and has no directory of the user's on its import path, so
neither a `pytest.ini` nor a package called `tests` gets in the way of the suites. Its root is the
bench's own, so a test has the same id everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bench.core.own_names import ROOT, own_name
from bench.core.processes.children import python_command

__all__ = ["SUITES_DIRECTORY", "main_job_command"]

#: The regression suites.
SUITES_DIRECTORY = ROOT / "tests" / "regression"

_PROGRAM = "import runpy\nrunpy.run_module('pytest', run_name='__main__', alter_sys=True)"


def main_job_command(directory: Path, arguments: Sequence[str]) -> list[str]:
    """The command that runs the suites with `arguments` of pytest.

    `directory` is where it runs: there, pytest keeps what it remembers of the last run.
    """
    more = os.environ.get("PYTEST_ADDOPTS", "")
    cache = ["-o", f"cache_dir={directory.resolve() / '.pytest_cache'}"]
    return [
        *python_command(_PROGRAM),
        *("-c", str(ROOT / "bench" / "pytest_plugin" / "suites.toml"), f"--rootdir={ROOT}"),
        # Without its owner, the setting is unknown to pytest.
        *([] if any("no:cacheprovider" in each for each in (more, *arguments)) else cache),
        *("-p", own_name("bench.pytest_plugin"), "--bench-packaged"),
        *arguments,
    ]
