"""From pytest's options to a run that is set up: what the controller does before it collects."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bench.assembly.session import RunSetup
from bench.assembly.setup import (
    checked_velas,
    kept_inputs,
    prepare_run,
    require_training_extra,
    surveyed_inputs,
    unavailable_targets,
    with_recipes,
)
from bench.assembly.sharding import sharded
from bench.assembly.surroundings import read_surroundings
from bench.baselines.accepted import BaselineSet
from bench.baselines.origins import keep_with_run
from bench.cache import default_remote, default_root
from bench.core.errors import ConfigError
from bench.history.store import HistoryStore
from bench.judging.policy import Policy
from bench.judging.suites import BENCH_RUN
from bench.plan.shards import parse_shard
from bench.pytest_plugin.baselines import baselines_of_run
from bench.pytest_plugin.terminal import say_at_once
from bench.records.run_directory import RunDirectory

__all__ = ["is_main_job", "prepare"]


def prepare(config: pytest.Config) -> RunSetup:
    """The run that `config` requests, checked; its directory and baselines are written.

    Raises `BenchError` if anything is wrong; nothing was measured.
    """
    setup = prepare_run(
        config_path=_config_path(config),
        targets=tuple(config.option.bench_target or ()),
        velas=tuple(config.option.bench_vela or ()),
        results=config.option.bench_results,
        cache_root=config.option.bench_cache or default_root(os.environ),
        remote_cache=_remote_cache(config),
        invocation=_extra_arguments(config),
    )
    if config.option.bench_shard is not None:
        setup = sharded(setup, parse_shard(config.option.bench_shard), config.option.bench_plan)
    elif config.option.bench_plan is not None:
        raise ConfigError(
            "--bench-plan: a plan is for the times of shards", cure="add --bench-shard=1/5"
        )
    setup = replace(setup, failing=_policy(config, setup).failing)
    if config.option.bench_packaged:
        setup = replace(setup, program=BENCH_RUN)
    if not config.option.collectonly:
        if config.option.bench_history is not None:
            HistoryStore(config.option.bench_history).require_writable()
        require_training_extra(setup)
        setup = replace(setup, inputs=checked_velas(setup, say_at_once))
        setup = replace(setup, inputs=surveyed_inputs(setup))
        if config.option.bench_cluster is None:
            setup = replace(setup, unavailable=unavailable_targets(setup))
        setup = with_recipes(replace(setup, config=kept_inputs(setup)), say_at_once)
        baselines = _judged_against(config, setup)
        surroundings = read_surroundings(setup.config_path, os.environ)
        run = RunDirectory.create(setup.run_path, setup.manifest(surroundings))
        keep_with_run(run, baselines)
    return setup


def _policy(config: pytest.Config, setup: RunSetup) -> Policy:
    """What fails: more in CI, where nobody looks at what was not judged."""
    chosen: bool | None = config.option.bench_ci
    in_ci = os.environ.get("CI", "").lower() in ("true", "1") if chosen is None else chosen
    improvement = setup.config.baselines.improvement
    if config.option.bench_update_baselines is not None:
        # This run makes the baselines that CI wants.
        return Policy.at_a_desk()
    return Policy.in_ci(improvement) if in_ci else Policy.at_a_desk(improvement)


def _judged_against(config: pytest.Config, setup: RunSetup) -> BaselineSet:
    """The accepted figures; none for a run that makes new ones."""
    update: str | None = config.option.bench_update_baselines
    if update is None:
        return baselines_of_run(setup, config.option.bench_baseline)
    if not update.strip():
        raise ConfigError(
            "--bench-update-baselines: the reason is empty",
            cure='say why the figures change: --bench-update-baselines="Vela 5.2.0"',
        )
    if config.option.bench_baseline is not None:
        raise ConfigError("--bench-update-baselines and --bench-baseline exclude each other")
    # A damaged file is an error now, and not after hours.
    baselines_of_run(setup, None)
    return BaselineSet(origin="nothing, as this run makes the baselines")


def _config_path(config: pytest.Config) -> Path:
    """The configuration: named, where `bench run` runs, or at the root of a checkout."""
    packaged: bool = config.option.bench_packaged
    directory = config.invocation_params.dir if packaged else config.rootpath
    named: Path | None = config.option.bench_config
    return named or directory / "bench.toml"


def is_main_job(config: pytest.Config) -> bool:
    """Whether pytest was asked to run any of the regression suites."""
    if config.option.bench_config is not None:
        return True
    suites = config.rootpath / "tests" / "regression"
    for argument in config.args:
        path = (config.invocation_params.dir / argument.split("::")[0]).resolve()
        if path == suites or path in suites.parents or suites in path.parents:
            return True
    return False


def _remote_cache(config: pytest.Config) -> str:
    named: str | None = config.option.bench_cache_remote
    return default_remote(os.environ) if named is None else named


def _extra_arguments(config: pytest.Config) -> tuple[str, ...]:
    """The bench's own options as given, for commands that reproduce a verdict."""
    arguments = []
    if config.option.bench_config is not None:
        arguments.append(f"--bench-config={config.option.bench_config}")
    arguments += [f"--bench-target={name}" for name in config.option.bench_target or ()]
    arguments += [f"--bench-vela={name}" for name in config.option.bench_vela or ()]
    if config.option.bench_cache is not None:
        arguments.append(f"--bench-cache={config.option.bench_cache}")
    if config.option.bench_baseline is not None:
        arguments.append(f"--bench-baseline={config.option.bench_baseline}")
    return tuple(arguments)
