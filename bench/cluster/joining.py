"""What makes a worker of Dask one of the bench: `dask worker --preload bench.cluster.joining`.

Installed, the module is `ethos_u55_bench.bench.cluster.joining`. `bench cluster worker` loads it by
itself. A worker that was started with a resource called like a target (`--resources fvp=1`) is a
seat: it takes the cells of that target and nothing else.
"""

from __future__ import annotations

import os

from distributed import Worker

from bench.cache import default_remote, default_root
from bench.cluster.identity import identity_here
from bench.cluster.seat import Seat
from bench.core.fingerprint import read_source_tree
from targets.registry import TARGETS

__all__ = ["dask_setup"]


async def dask_setup(worker: Worker) -> None:
    """Dask calls this when a worker starts, before it tells the scheduler what it offers."""
    code = read_source_tree()
    identity = identity_here(code)
    offered = worker.state.total_resources
    seats = {name: count for name, count in offered.items() if name in TARGETS}
    tags = {identity.resource(name): count for name, count in seats.items()}
    # One at a time, whatever the number of threads.
    tags = tags or {identity.resource(""): 1}
    offered.update(tags)
    worker.state.available_resources.update(tags)
    seat = Seat(code, default_root(os.environ), default_remote(os.environ))
    await worker.plugin_add(plugin=seat, catch_errors=False)
