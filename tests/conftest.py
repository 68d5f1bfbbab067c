"""How the project's own tests are given to xdist's workers: those of a file stay together.

The files that take minutes come first, so that no worker has one of them when the others are done.
"""

from __future__ import annotations

from typing import Any

import pytest

from bench.pytest_plugin.scheduler import FamilyScheduling

#: The files that take a worker longest.
_FIRST = (
    *("test_recipes", "test_main_job", "test_wheel", "test_bench_behaviour", "test_compression"),
    *("test_faults", "test_cluster_faults", "test_cluster_default_grid", "test_models_variants"),
    *("test_gates", "test_variants", "test_shards", "test_cluster"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of those files before the others."""
    place = {name: i for i, name in enumerate(_FIRST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FamilyScheduling | None:
    """For `--dist loadfile`: xdist's own scheduler can wait forever after a worker has died."""
    if config.getvalue("dist") != "loadfile":
        return None
    return FamilyScheduling(config, log, family=lambda name: name.partition("::")[0])
