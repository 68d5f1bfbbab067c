"""Checks everything that can be checked before any work is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path

from bench.assembly.session import RunSetup
from bench.cache import ArtefactCache, open_store
from bench.compiler import VelaInstallation, beside_the_bench, find_lock, is_vela_version
from bench.core.errors import BenchError, ConfigError, TargetUnavailableError
from bench.core.fingerprint import read_source_tree
from bench.core.schema import suggest
from bench.measuring.inputs import keep_inputs
from bench.measuring.planning import vela_options
from bench.measuring.products import ProductStore
from bench.measuring.progress import Sink
from bench.measuring.recipes import SurveyedRecipe, survey_recipe
from bench.measuring.user_files import check_user_files, survey_user_data
from bench.plan.cell import INSTALLED_VELA
from bench.plan.config import (
    BenchConfig,
    TrainedWorkload,
    fingerprint,
    named_velas,
    parse_config,
)
from bench.plan.config.document import read_text
from bench.plan.config.lines import key_lines
from bench.plan.grid import make_plan
from bench.records.run_directory import RunDirectory, run_name
from bench.tflite.reference import ReferenceRunner
from models.data import resolve_mnist
from models.extra import require_training
from models.service import VariantBuilder
from targets.registry import TARGETS, TargetContext

__all__ = [
    "checked_velas",
    "kept_inputs",
    "prepare_config",
    "prepare_run",
    "require_training_extra",
    "surveyed_inputs",
    "unavailable_targets",
    "with_recipes",
]


def prepare_run(
    *,
    config_path: Path,
    targets: tuple[str, ...],
    velas: tuple[str, ...],
    results: Path | None,
    cache_root: Path,
    remote_cache: str = "",
    invocation: tuple[str, ...],
) -> RunSetup:
    """Read the configuration and check it against the environment; write nothing.

    Of data sets only the headers are read; see `surveyed_inputs`.

    Args:
        config_path: the configuration file.
        targets: names that replace the configured targets; empty keeps those.
        velas: versions of Vela that replace the configured ones; empty keeps those.
        results: where runs are kept; None means `results` beside the configuration.
        cache_root: the artefact cache.
        remote_cache: the address of a remote cache; empty for none.
        invocation: options that reproduce-commands repeat.

    Raises:
        BenchError: something is wrong; nothing was run.
    """
    text = read_text(config_path)
    root = results or config_path.resolve().parent / "results"
    setup = prepare_config(
        parse_config(text, config_path),
        config_path,
        run_path=root / run_name(),
        cache_root=cache_root,
        remote_cache=remote_cache,
        targets=targets,
        velas=velas,
    )
    return replace(setup, extra_arguments=invocation, config_lines=key_lines(text))


def prepare_config(
    config: BenchConfig,
    config_path: Path,
    *,
    run_path: Path,
    cache_root: Path,
    remote_cache: str = "",
    targets: tuple[str, ...] = (),
    velas: tuple[str, ...] = (),
) -> RunSetup:
    """`prepare_run` for a configuration that was read, or made; `config_path` is for messages."""
    if remote_cache:
        open_store(remote_cache)
    chosen = targets or config.grid.targets
    for name in chosen:
        if name not in TARGETS:
            raise ConfigError(
                f"{config_path}: grid.targets: unknown target {name!r}; "
                f"{suggest(name, list(TARGETS))}"
            )
    compilers = _chosen_velas(config, config_path, velas)
    try:
        plan = make_plan(config, chosen, compilers)
    except BenchError as error:
        raise ConfigError(f"{config_path}: {error}") from error
    planned = plan.workloads
    inputs = check_user_files(config, config_path, planned)
    if INSTALLED_VELA in compilers:
        inputs |= _check_vela(config, config_path, beside_the_bench())
    return RunSetup(
        config=config,
        config_path=config_path,
        extra_arguments=(),
        targets=tuple(chosen),
        velas=compilers,
        # Nobody waits for an address whose data nobody needs.
        data=resolve_mnist(config.data.mnist if _of_mnist(config, planned) else "subset"),
        cache_root=cache_root,
        remote_cache=remote_cache,
        run_path=run_path,
        config_sha256=fingerprint(config, config_path.resolve().parent),
        code=read_source_tree(),
        inputs=inputs,
    )


def require_training_extra(setup: RunSetup) -> None:
    """Raise `PrerequisiteError` for a run that trains, where what trains is not installed."""
    for cell in setup.plan().cells:
        workload = setup.config.workloads[cell.workload]
        if isinstance(workload, TrainedWorkload) and cell.variant not in workload.frozen:
            require_training(cell.workload)


def surveyed_inputs(setup: RunSetup) -> dict[Path, str]:
    """The files that the configuration names, data sets among them, with the sha256 of each.

    All values of the data sets are read, in pieces. Raises `BenchError` if they do not fit.
    """
    found = survey_user_data(setup.config, setup.config_path, setup.plan().workloads)
    return {**setup.inputs, **found}


def kept_inputs(setup: RunSetup) -> BenchConfig:
    """The configuration with copies in the cache instead of the files that it names.

    If no target of the run is available, nothing is copied. Raises `BenchError` if a file is not
    the one that was checked, or the cache cannot be written.
    """
    if set(setup.targets) <= set(setup.unavailable):
        return setup.config
    return keep_inputs(setup.config, setup.inputs, ArtefactCache(setup.cache_root))


def with_recipes(setup: RunSetup, sink: Sink) -> RunSetup:
    """`setup` with what the users' recipes of the plan are now; their code and data are looked at.

    If no target of the run is available, nothing is. Raises `BenchError` if a recipe fails, or its
    network, data and variants do not fit together.
    """
    if set(setup.targets) <= set(setup.unavailable):
        return setup
    users = {
        name: workload
        for name in sorted(setup.plan().workloads)
        if isinstance(workload := setup.config.workloads[name], TrainedWorkload)
        and workload.is_users
    }
    recipes = surveyed_recipes(users, setup, sink) if users else {}
    return replace(setup, recipes=recipes)


def surveyed_recipes(
    workloads: Mapping[str, TrainedWorkload], setup: RunSetup, sink: Sink
) -> dict[str, SurveyedRecipe]:
    """What the recipes of `workloads` are now."""
    store = ProductStore(ArtefactCache(setup.cache_root), setup.code, sink)
    with VariantBuilder(bounds=setup.config.training.bounds) as builder:
        return {
            name: survey_recipe(name, workload, setup.config_path, builder, store)
            for name, workload in workloads.items()
        }


def unavailable_targets(setup: RunSetup) -> dict[str, tuple[str, str]]:
    """Find out which targets are not available, before hours of training and not after.

    Returns what is missing for each, and the cure. The cells of the others are still measured.
    Raises `BenchError` for anything else that is wrong with a target, such as a broken
    installation.
    """
    missing: dict[str, tuple[str, str]] = {}
    logs = RunDirectory(setup.run_path).logs
    context = TargetContext(
        reference=ReferenceRunner(setup.config.reference.bounds),
        settings=setup.config.targets,
        logs=logs,
    )
    for name in setup.targets:
        target = TARGETS[name].make(context)
        try:
            target.prepare()
        except TargetUnavailableError as error:
            missing[name] = (error.what, error.cure)
        finally:
            target.close()
    return missing


def checked_velas(setup: RunSetup, sink: Sink) -> dict[Path, str]:
    """Install each version of Vela that is not installed, and check that it fits the grid.

    Returns the files that the configuration names, lock files among them, and the sha256 of each.
    Raises `BenchError` if a version cannot be installed or does not know what the grid has.
    """
    installations = setup.vela_installations(sink)
    own = setup.config.vela.locks
    found = dict(setup.inputs)
    for vela in setup.velas:
        found |= _check_vela(setup.config, setup.config_path, installations.obtain(vela))
        if vela in own:
            found[own[vela]] = find_lock(vela, own).sha256
    return found


def _of_mnist(config: BenchConfig, workloads: Iterable[str]) -> bool:
    found = (config.workloads[name] for name in workloads)
    return any(isinstance(one, TrainedWorkload) and one.is_of_mnist for one in found)


def _check_vela(config: BenchConfig, config_path: Path, vela: VelaInstallation) -> dict[Path, str]:
    """Check that `vela` knows the grid's system configurations and memory modes.

    Returns the configuration file that the user named, if any, and its sha256.
    """
    grid = config.grid
    found: dict[Path, str] = {}
    for system_config, memory_mode in product(grid.system_configs, grid.memory_modes):
        options = vela_options(config, grid.macs[0], memory_mode, system_config)
        try:
            if options.config_file is not None:
                found[options.config_file] = options.config_sha256(vela)
            options.check(vela)
        except ConfigError as error:
            raise ConfigError(f"{config_path}: grid.system_configs: {error}") from error
    return found


def _chosen_velas(
    config: BenchConfig, config_path: Path, override: tuple[str, ...]
) -> tuple[str, ...]:
    """The versions of Vela as cells have them. Raises `ConfigError` if one has no lock file."""
    place = "--bench-vela" if override else f"{config_path}: grid.vela"
    for name in override:
        if name != INSTALLED_VELA and not is_vela_version(name):
            raise ConfigError(
                f"{place}: {name!r} is no version of Vela",
                cure=f"write it in full, such as 5.0.0, or {INSTALLED_VELA}",
            )
    chosen = named_velas(override) if override else config.grid.vela
    for vela in chosen:
        if vela != INSTALLED_VELA:
            try:
                find_lock(vela, config.vela.locks)
            except ConfigError as error:
                raise ConfigError(f"{place}: {error.what}", cure=error.cure) from error
    return chosen
