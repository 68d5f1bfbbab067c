"""The programs of a cluster: `bench cluster scheduler` and `bench cluster worker`."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import dask
from distributed import Nanny, Scheduler

from bench.cluster.places import SETTINGS, quiet, scheduler_options, worker_options
from bench.core.errors import PrerequisiteError
from bench.core.text import one_line

__all__ = ["serve_scheduler", "serve_workers"]

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve_scheduler(host: str | None, port: int) -> None:
    """Run a scheduler until a signal ends it. Prints its address.

    Raises `PrerequisiteError` if it cannot listen there.
    """
    quiet()
    with dask.config.set(SETTINGS):
        asyncio.run(_scheduler(host, port))


def serve_workers(
    address: str, processes: int, seats: Mapping[str, int], *, patience_s: float
) -> None:
    """Run workers until a signal ends them, or the scheduler has been gone for `patience_s`.

    Args:
        address: the scheduler's.
        processes: how many workers take any task.
        seats: target -> how many more workers take its cells only.
        patience_s: how long each looks for the scheduler before it ends.

    Raises:
        PrerequisiteError: the scheduler does not answer.
    """
    quiet()
    with dask.config.set(SETTINGS):
        asyncio.run(_workers(address, processes, seats, patience_s))


def _until_stopped() -> asyncio.Event:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOPPING:
        loop.add_signal_handler(number, stopped.set)
    return stopped


async def _scheduler(host: str | None, port: int) -> None:
    stopped = _until_stopped()
    try:
        scheduler = await Scheduler(host=host, port=port, **scheduler_options())
    except OSError as error:
        raise PrerequisiteError(
            f"the scheduler cannot listen on port {port}: {one_line(str(error))}",
            cure="name another: --port",
        ) from error
    print(f"bench: scheduler at {scheduler.address}", flush=True)
    await stopped.wait()
    await scheduler.close()


async def _workers(
    address: str, processes: int, seats: Mapping[str, int], patience_s: float
) -> None:
    stopped = _until_stopped()
    offers: list[dict[str, int]] = [{} for _ in range(processes)]
    offers += [{name: 1} for name, count in seats.items() for _ in range(count)]
    with tempfile.TemporaryDirectory(prefix="bench-worker-") as directory:
        nannies = [
            Nanny(
                address,
                **{**worker_options(offer, Path(directory)), "death_timeout": patience_s},
            )
            for offer in offers
        ]
        try:
            started: asyncio.Future[Any] = asyncio.gather(*nannies)
            stop: asyncio.Future[Any] = asyncio.ensure_future(stopped.wait())
            await asyncio.wait({started, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not stop.done():
                with suppress(asyncio.CancelledError):
                    _require_started(started, address)
                print(f"bench: {len(nannies)} workers for {address}", flush=True)
                ended: asyncio.Future[Any] = asyncio.gather(
                    *(nanny.finished() for nanny in nannies)
                )
                await asyncio.wait({ended, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await asyncio.gather(*(nanny.close() for nanny in nannies), return_exceptions=True)


def _require_started(started: asyncio.Future[Any], address: str) -> None:
    error = started.exception()
    if error is not None:
        raise PrerequisiteError(
            f"workers for {address} have not started: {one_line(str(error))}",
            cure="check that the scheduler runs there, and that this machine reaches it",
        ) from error
