"""The bench as a pytest plugin: options, parametrisation from `bench.toml`, reports.

The controller (or the only process) sets the run up and checks everything that can be checked
before work begins; workers receive that setup as data, so all collect the same tests.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bench.assembly.judging import open_judge
from bench.assembly.session import BenchSession, RunSetup
from bench.core.errors import BenchError
from bench.core.processes.garbage import few_collections
from bench.judging.judge import Judge
from bench.plan.cell import Cell
from bench.plan.grid import Group
from bench.pytest_plugin.arguments import tests_meant, wants_workers
from bench.pytest_plugin.cases import CaseCollector
from bench.pytest_plugin.check import Check
from bench.pytest_plugin.cluster import add_cluster_option, judge_on, require_one_process
from bench.pytest_plugin.ending import BoundedEnd
from bench.pytest_plugin.grid_judging import (
    BY_CELLS,
    PROCESSES,
    grid_judging,
    refused_options,
)
from bench.pytest_plugin.history import HistoryKeeper, history_store
from bench.pytest_plugin.page import PageWriter
from bench.pytest_plugin.preparing import is_main_job, prepare
from bench.pytest_plugin.scheduler import FamilyScheduling
from bench.pytest_plugin.signals import StopOnSignals
from bench.pytest_plugin.terminal import TerminalReport
from bench.pytest_plugin.workers import AUTOMATIC, is_alone, spare_workers, wanted_cells

__all__ = ["check", "judge"]

_SESSION = pytest.StashKey[BenchSession]()
_WORKER_KEY = "ethos_u55_bench"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The bench's command-line options."""
    group = parser.getgroup("bench", "Ethos-U55 regression bench")
    group.addoption(
        "--bench-config",
        type=Path,
        metavar="FILE",
        help="the grid, the workloads and their limits (default: bench.toml)",
    )
    group.addoption(
        "--bench-target",
        action="append",
        metavar="NAME",
        help="measure on this target instead of the configured ones; may be repeated",
    )
    group.addoption(
        "--bench-vela",
        action="append",
        metavar="VERSION",
        help="compile with this version of Vela instead of the configured ones; may be repeated",
    )
    group.addoption(
        "--bench-results",
        type=Path,
        metavar="DIR",
        help="where runs are kept (default: results/ beside the configuration)",
    )
    group.addoption(
        "--bench-cache",
        type=Path,
        metavar="DIR",
        help="the artefact cache (default: $BENCH_CACHE or the user's cache directory)",
    )
    group.addoption(
        "--bench-cache-remote",
        metavar="ADDRESS",
        help="where products that are not in the cache may be found, such as https://host/path "
        "(default: $BENCH_CACHE_REMOTE)",
    )
    add_cluster_option(group)
    group.addoption(
        "--bench-baseline",
        metavar="FILE|RUN|git:REV",
        help="judge against these figures instead of the accepted ones: a file or directory of "
        "baselines, the directory of a run, or a git revision (git:merge-base in a pull request)",
    )
    group.addoption(
        "--bench-update-baselines",
        metavar="REASON",
        help="accept what this run measures; the reason stays with each figure that changes",
    )
    group.addoption(
        "--bench-ci",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether what was not judged fails: figures without a limit or baseline, and targets "
        "that are not there (default: yes if the variable CI is set)",
    )
    group.addoption(
        "--bench-history",
        type=Path,
        metavar="FILE",
        help="add the run to this history, or fail (default: history.sqlite beside the runs)",
    )
    group.addoption(
        "--bench-shard",
        metavar="I/N",
        help="measure and judge only part I of N of the grid, such as 2/5; `bench report merge` "
        "joins the parts and proves that they are complete",
    )
    group.addoption(
        "--bench-plan",
        type=Path,
        metavar="FILE",
        help="balance the shards by the times in this plan; every shard must get the same file",
    )
    group.addoption(
        "--bench-judge",
        choices=("tests", BY_CELLS),
        default="tests",
        help="for `bench run`: with a test for each figure, or cell by cell without tests, which "
        "is several times faster for large grids (default: tests)",
    )
    # What `bench run` says; see `bench.core.main_job`.
    group.addoption("--bench-packaged", action="store_true", help=argparse.SUPPRESS)


@pytest.hookimpl(tryfirst=True, wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Iterator[None]:
    """For `bench run`: no conftest.py but those of the tests that are meant is loaded."""
    known = early_config.known_args_namespace
    if known.bench_packaged:
        named = known.file_or_dir
        known.file_or_dir = tests_meant(named)
        workers = getattr(known, "numprocesses", 0)
        if known.bench_judge == BY_CELLS:
            # They judge, and run no tests.
            early_config.stash[PROCESSES] = "auto" if workers is None else workers
            # A cluster has workers of its own, and whoever names another number is told so.
            if hasattr(known, "numprocesses") and not (known.bench_cluster and workers):
                args += ["-n", "0"]
        elif workers is None and wants_workers(named) and known.bench_cluster is None:
            args[:0] = ["-n", "auto"]
    yield


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Set up the run in the controller; receive it in a worker."""
    if config.option.help:
        return
    if config.option.bench_packaged:
        config.args = tests_meant(config.option.file_or_dir)
        # pytest would show ids as paths from where the user is into the installation.
        vars(config)["cwd_relative_nodeid"] = _unchanged
    worker_input: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker_input is not None:
        if _WORKER_KEY in worker_input:
            setup = RunSetup.from_json(worker_input[_WORKER_KEY])
            config.stash[_SESSION] = BenchSession(setup)
        return
    if not is_main_job(config):
        return
    by_cells = config.option.bench_judge == BY_CELLS
    if by_cells and (refused := refused_options(config)):
        raise pytest.UsageError(
            f"--judge cells makes no tests, which these need: {refused}\n"
            "  -> leave out --judge cells, or them"
        )
    try:
        require_one_process(config)
        setup = prepare(config)
    except BenchError as error:
        raise pytest.UsageError(str(error)) from error
    session = BenchSession(setup)
    config.stash[_SESSION] = session
    if config.option.collectonly:
        return
    spare_workers(config, session)
    if config.option.xmlpath is None and not by_cells:
        config.option.xmlpath = str(setup.run_path / "pytest.xml")
    cases = CaseCollector(session)
    config.pluginmanager.register(cases, "bench-cases")
    terminal = TerminalReport(session, config, cases)
    config.pluginmanager.register(terminal, "bench-terminal")
    if by_cells:
        config.pluginmanager.register(grid_judging(config, session, cases), "bench-grid")
    named = config.option.bench_history
    store, run = history_store(setup, named), session.run
    if not setup.is_empty_shard:
        history = HistoryKeeper(store, run, lambda: terminal.view, required=named is not None)
        config.pluginmanager.register(history, "bench-history")
    page = PageWriter(run, store, lambda: terminal.view)
    config.pluginmanager.register(page, "bench-page")
    config.pluginmanager.register(BoundedEnd(), "bench-ending")
    signals = StopOnSignals()
    config.pluginmanager.register(signals, "bench-signals")
    config.add_cleanup(signals.restore)


def _unchanged(nodeid: Any) -> Any:
    return nodeid


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> Iterator[None]:
    """Remember that nobody named a number."""
    config.stash[AUTOMATIC] = True
    return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Send the setup to an xdist worker."""
    session = node.config.stash.get(_SESSION, None)
    if session is not None:
        # There is one worker per core; threads of BLAS would compete for the same cores.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        node.workerinput[_WORKER_KEY] = session.setup.to_json()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FamilyScheduling | None:
    """Keep families of cells together, unless the user chose another distribution."""
    if _SESSION in config.stash and config.getvalue("dist") == "load":
        return FamilyScheduling(config, log)
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise `cell`, `sweep` and `order` from the plan; ids are the ids of the plan."""
    session = metafunc.config.stash.get(_SESSION, None)
    if session is None:
        return
    axes: dict[str, tuple[Cell | Group, ...]] = {
        "cell": session.plan.cells,
        "sweep": session.plan.sweeps,
        "order": session.plan.orders,
    }
    for name, values in axes.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values, ids=[value.id for value in values])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the empty, skipped test that pytest adds if a grid has no sweep or order."""
    if _SESSION not in config.stash:
        return
    empty = [item for item in items if item.name.endswith("[NOTSET]")]
    if empty:
        items[:] = [item for item in items if item not in empty]


@pytest.fixture(scope="session")
def judge(request: pytest.FixtureRequest) -> Iterator[Judge]:
    """What measures and judges the cells, sweeps and orders of the run."""
    session = request.config.stash.get(_SESSION, None)
    if session is None:
        pytest.fail("the bench is not set up: run its suites with `bench run`", pytrace=False)
    problem = ""
    with few_collections(), ExitStack() as stack:
        try:
            wanted = wanted_cells(request.session.items)
            place = request.config.option.bench_cluster
            opened = stack.enter_context(
                open_judge(session, wanted, wanted if is_alone(request.config) else ())
                if place is None
                else judge_on(request.config, session, place, wanted)
            )
        except BenchError as error:
            problem = str(error)
        else:
            yield opened
    # Not in the handler, where pytest would print the error's causes before the message.
    if problem:
        pytest.fail(problem, pytrace=False)


@pytest.fixture
def check(judge: Judge, request: pytest.FixtureRequest) -> Check:
    """Asserts the verdicts of a cell, a sweep or an order, and reports their figures."""
    return Check(judge, request.node)
