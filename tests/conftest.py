"""How the project's own tests are given to xdist's workers: those of a file stay together."""

from __future__ import annotations

from typing import Any

import pytest

from bench.pytest_plugin.scheduler import FamilyScheduling


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FamilyScheduling | None:
    """For `--dist loadfile`: xdist's own scheduler can wait forever after a worker has died."""
    if config.getvalue("dist") != "loadfile":
        return None
    return FamilyScheduling(config, log, family=lambda name: name.partition("::")[0])
