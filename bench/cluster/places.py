"""Clusters: one that is running somewhere, or one of processes on this machine."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster

from bench.core.errors import ConfigError, PrerequisiteError
from bench.core.own_names import own_name
from bench.core.text import one_line

__all__ = [
    "SETTINGS",
    "Local",
    "Running",
    "connected",
    "parse_place",
    "quiet",
    "scheduler_options",
    "worker_options",
]

_LOCAL = re.compile(r"local:([1-9][0-9]{0,2})")
_ADDRESS = re.compile(r"(tcp|tls)://\S+:[0-9]+")
#: In the log of a run; `bench cluster worker` says more.
_LEVEL = "warning"
#: What Dask says for its own purposes is not for the user of a bench.
SETTINGS = {
    # For the workers, which load Dask before they are told anything else.
    "distributed.nanny.pre-spawn-environ": {
        "DASK_LOGGING__DISTRIBUTED": _LEVEL,
        # There is a worker for each core; threads of BLAS would compete for the same cores.
        "OPENBLAS_NUM_THREADS": "1",
    },
    "distributed.admin.large-graph-warning-threshold": "1GB",
    "distributed.comm.timeouts.connect": "20s",
    # A worker that is alone with a long task may say nothing for as long.
    "distributed.scheduler.worker-ttl": "10 minutes",
}


@dataclass(frozen=True)
class Local:
    """So many worker processes on this machine."""

    workers: int


@dataclass(frozen=True)
class Running:
    """The address of a scheduler."""

    address: str


def parse_place(text: str) -> Local | Running:
    """`local:4` or `tcp://host:8786`. Raises `ConfigError` for anything else."""
    local = _LOCAL.fullmatch(text)
    if local is not None:
        return Local(int(local[1]))
    if _ADDRESS.fullmatch(text):
        return Running(text)
    raise ConfigError(
        f"{text!r} is no cluster",
        cure="write local:4 for four processes here, or the scheduler's address, such as "
        "tcp://host:8786",
    )


def worker_options(resources: Mapping[str, int], directory: Path) -> dict[str, Any]:
    """How a nanny starts a worker of the bench that offers `resources`."""
    return {
        "nthreads": 1,
        "resources": dict(resources),
        "preload": [own_name("bench.cluster.joining")],
        "local_directory": str(directory),
        # The bench bounds the memory of the processes that do its work.
        "memory_limit": 0,
        "death_timeout": 60,
        "dashboard": False,
        "dashboard_address": "127.0.0.1:0",
    }


def scheduler_options() -> dict[str, Any]:
    """How a scheduler of the bench differs from Dask's own."""
    # Its page is Dask's, for Dask's people; the address keeps it from others.
    return {
        "dashboard": False,
        "dashboard_address": "127.0.0.1:0",
        # The client counts the deaths of each task, and gives it to one worker at a time.
        "allowed_failures": 0,
    }


def quiet() -> None:
    """Let Dask say in this process what matters to the user of a bench."""
    # Not the loggers: what nannies log is part of the error if a task kills their workers.
    for handler in logging.getLogger("distributed").handlers:
        handler.setLevel(_LEVEL.upper())


@contextmanager
def connected(
    place: Local | Running, seats: Mapping[str, int], cache_root: Path
) -> Iterator[Client]:
    """A client of the cluster. A local one has `seats` (target -> how many) and shares the cache.

    Raises `PrerequisiteError` if the scheduler does not answer.
    """
    with dask.config.set(SETTINGS):
        quiet()
        if isinstance(place, Running):
            with _client(place.address) as client:
                yield client
            return
        with (
            tempfile.TemporaryDirectory(prefix="bench-cluster-") as directory,
            _local(place, seats, cache_root, Path(directory)) as cluster,
            _client(cluster.scheduler_address) as client,
        ):
            yield client


@contextmanager
def _client(address: str) -> Iterator[Client]:
    try:
        client = Client(address, set_as_default=False, timeout=20)
    except (OSError, TimeoutError, ValueError) as error:
        raise PrerequisiteError(
            f"the cluster's scheduler at {address} does not answer: {one_line(str(error))}",
            cure="check the address, or start one: bench cluster scheduler",
        ) from error
    with client:
        yield client


def _local(
    place: Local, seats: Mapping[str, int], cache_root: Path, directory: Path
) -> SpecCluster:
    offers: list[dict[str, int]] = [{} for _ in range(place.workers)]
    offers += [{name: 1} for name, count in seats.items() for _ in range(count)]
    return SpecCluster(
        scheduler={
            "cls": Scheduler,
            "options": {
                "host": "127.0.0.1",
                "port": 0,
                **scheduler_options(),
            },
        },
        workers={
            number: {
                "cls": Nanny,
                "options": {
                    **worker_options(offer, directory),
                    "host": "127.0.0.1",
                    "env": {"BENCH_CACHE": str(cache_root)},
                },
            }
            for number, offer in enumerate(offers)
        },
        silence_logs=False,
    )
