"""A cache key in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import bench
from bench.cache import CacheKey


def test_digest_does_not_depend_on_the_process() -> None:
    """Hash randomisation must not reach the digest: it would make every run a first run."""
    parameters: dict[str, Any] = {"inputs": {"b": 0.1, "a": [1, "ü"]}, "zeta": None, "alpha": True}
    script = (
        "import json, sys; from bench.cache import CacheKey;"
        "print(CacheKey('model', json.loads(sys.argv[1])).digest)"
    )
    root = Path(bench.__file__).parents[1]
    printed = subprocess.run(
        [sys.executable, "-c", script, json.dumps(parameters)],
        env={"PYTHONPATH": str(root), "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert printed == CacheKey("model", parameters).digest
