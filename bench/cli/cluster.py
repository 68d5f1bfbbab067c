"""`bench cluster`: the programs of a cluster, one on each of its machines."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["commands"]

commands = typer.Typer(
    help="Start the scheduler and the workers of `bench run --cluster`.", no_args_is_help=True
)


@commands.command()
def scheduler(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8786,
    host: Annotated[
        str | None, typer.Option(help="The address to listen on; default: all.", show_default=False)
    ] = None,
) -> None:
    """Run the scheduler, which gives tasks to workers, until Ctrl-C.

    Whoever reaches its port can run programs on all workers: keep it in a private network, or use
    TLS (docs/cluster.md). It does no work itself, and needs little memory.
    """
    _require_dask()
    from bench.cluster.serving import serve_scheduler

    serve_scheduler(host, port)


@commands.command()
def worker(
    address: Annotated[str, typer.Argument(help="The scheduler's, such as tcp://host:8786.")],
    processes: Annotated[
        int | None,
        typer.Option(min=0, help="Workers for any task; default: one for each core."),
    ] = None,
    seats: Annotated[
        str,
        typer.Option(
            metavar="TARGET=N,...",
            help="More workers, each for the cells of one target that is here: fvp=2,mps3=1.",
        ),
    ] = "",
    cache: Annotated[
        Path | None, typer.Option(help="The cache's directory; default $BENCH_CACHE or the user's.")
    ] = None,
    patience: Annotated[
        float, typer.Option(min=1, help="Seconds to look for the scheduler before it ends.")
    ] = 60,
) -> None:
    """Run workers on this machine until Ctrl-C, or until the scheduler ends.

    They take tasks only of a bench that is the same: version, sources, Python, Vela, libraries and
    image (the variable BENCH_IMAGE). Each machine has a cache of its own; BENCH_CACHE_REMOTE may
    name a store that all share. A seat is a device or a licence that one cell at a time uses.
    """
    _require_dask()
    from bench.cluster.places import Running, parse_place
    from bench.cluster.seats import parse_seats
    from bench.cluster.serving import serve_workers
    from bench.core.errors import ConfigError

    place = parse_place(address)
    if not isinstance(place, Running):
        raise ConfigError(f"{address!r} is no scheduler", cure="write it as tcp://host:8786")
    counts = parse_seats(seats)
    if cache is not None:
        # The workers are processes of their own.
        os.environ["BENCH_CACHE"] = str(cache.resolve())
    cores = len(os.sched_getaffinity(0))
    serve_workers(
        place.address, cores if processes is None else processes, counts, patience_s=patience
    )


def _require_dask() -> None:
    from bench.core.errors import PrerequisiteError

    if importlib.util.find_spec("distributed") is None:
        raise PrerequisiteError(
            "a cluster needs Dask, which is not installed",
            cure='pip install "ethos-u55-bench[cluster]"',
        )
