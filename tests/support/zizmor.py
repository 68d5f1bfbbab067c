"""zizmor, which looks for what is insecure in recipes for GitHub Actions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

__all__ = ["require_nothing_insecure"]


def require_nothing_insecure(path: Path) -> None:
    """Fail if zizmor finds something in the recipe at `path`; skip the test if it is missing."""
    zizmor = Path(sys.executable).with_name("zizmor")
    if not zizmor.exists():
        pytest.skip("zizmor is missing: the recipes are NOT checked; run `make test`")
    done = subprocess.run(
        [zizmor, "--offline", "--no-progress", "--persona=regular", path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
