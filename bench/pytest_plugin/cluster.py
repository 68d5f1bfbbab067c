"""A run whose records a cluster makes: one process judges them, and has no workers of its own."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext

import pytest

from bench.assembly.session import BenchSession
from bench.assembly.unit_judging import UnitJudges
from bench.core.errors import ConfigError, PrerequisiteError
from bench.judging.judge import Judge
from bench.plan.cell import Cell

__all__ = ["add_cluster_option", "judge_on", "require_one_process", "units_on"]


def add_cluster_option(group: pytest.OptionGroup) -> None:
    """Where the records are made."""
    group.addoption(
        "--bench-cluster",
        metavar="PLACE",
        help="let a cluster make the records: tcp://host:8786, a scheduler of Dask, or local:4, "
        "four processes here",
    )


def require_one_process(config: pytest.Config) -> None:
    """Raise `BenchError` for a cluster that is none, or that every xdist worker would ask."""
    if config.option.bench_cluster is None:
        return
    if importlib.util.find_spec("distributed") is None:
        raise PrerequisiteError(
            "--bench-cluster needs Dask, which is not installed",
            cure='pip install "ethos-u55-bench[cluster]"',
        )
    from bench.cluster.places import parse_place

    parse_place(config.option.bench_cluster)
    if getattr(config.option, "numprocesses", None):
        raise ConfigError(
            "--bench-cluster and -n exclude each other: the cluster has the workers",
            cure="leave -n out, or write -n 0",
        )


@contextmanager
def judge_on(
    config: pytest.Config, session: BenchSession, place: str, wanted: Iterable[Cell]
) -> Iterator[Judge]:
    """The judge of the cells `wanted`, whose records are made by the cluster at `place`."""
    from bench.cluster.judging import open_cluster_judge

    capture = config.pluginmanager.getplugin("capturemanager")
    with ExitStack() as stack:
        # All work is done in the first test, and people should see how it goes on.
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            judge = stack.enter_context(open_cluster_judge(session, place, wanted))
        yield judge


def units_on(session: BenchSession, place: str) -> UnitJudges:
    """What judges cell by cell, over records that the cluster at `place` makes."""
    from bench.cluster.judging import ClusterUnits

    return ClusterUnits(session, place)
