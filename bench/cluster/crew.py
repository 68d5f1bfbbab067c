"""The workers of a cluster: which of them are like the client, and how many."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from distributed import Client, Worker

from bench.cluster.identity import Identity, identity_here
from bench.cluster.seat import PLUGIN, Seat
from bench.core.errors import PrerequisiteError
from bench.core.text import one_line

__all__ = ["capacity_of", "wait_for_crew"]

_LOOK_S = 0.2


def capacity_of(client: Client, identity: Identity, seats: Collection[str]) -> dict[str, int]:
    """Seat (`GENERAL` too) -> how many tasks of `identity` the cluster can run at once."""
    found = dict.fromkeys(("", *seats), 0)
    for worker in _workers(client).values():
        for seat in found:
            found[seat] += int(worker["resources"].get(identity.resource(seat), 0))
    return found


def wait_for_crew(client: Client, identity: Identity, seconds: float) -> list[str]:
    """Wait until a worker of `identity` is there. Returns why others are refused.

    Raises `PrerequisiteError` after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not capacity_of(client, identity, ())[""]:
        if time.monotonic() > deadline:
            refused = "; ".join(_refused(client, identity)) or "it has no worker at all"
            raise PrerequisiteError(
                f"the cluster has no worker like this bench: {refused}",
                cure="start workers from the same installation or image: bench cluster worker "
                "ADDRESS",
            )
        time.sleep(_LOOK_S)
    return _refused(client, identity)


def _workers(client: Client) -> Mapping[str, Any]:
    workers: Mapping[str, Any] = client.scheduler_info(n_workers=-1)["workers"]
    return workers


def _refused(client: Client, identity: Identity) -> list[str]:
    tag = identity.resource("")
    others = [
        address
        for address, worker in _workers(client).items()
        if not any(name.startswith(tag) for name in worker["resources"])
    ]
    told = []
    for address in others:
        try:
            answer = client.run(_facts, workers=[address], on_error="return")[address]
        except Exception as error:
            # Whatever a stranger answers is no reason to fail.
            answer = error
        if isinstance(answer, dict):
            reason = ", ".join(identity.differences(answer)) or "it was not started for the bench"
        else:
            reason = f"it has no such bench ({type(answer).__name__})"
        told.append(one_line(f"worker {address} is refused: {reason}"))
    return told


def _facts(dask_worker: Worker) -> dict[str, str]:
    """On a worker: its identity."""
    seat = dask_worker.plugins.get(PLUGIN)
    return dict(identity_here(seat.code).facts) if isinstance(seat, Seat) else {}
