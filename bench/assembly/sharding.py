"""A run as one shard of its plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.assembly.own_shard import SetupShard
from bench.assembly.session import RunSetup
from bench.core.errors import ConfigError
from bench.plan.document import read_plan
from bench.plan.expected import expected_times
from bench.plan.shards import Shard, shards_of, units_of
from bench.plan.work import work_of

__all__ = ["sharded"]


def sharded(setup: RunSetup, shard: Shard, plan: Path | None) -> RunSetup:
    """`setup` with the cells of `shard` alone.

    The shards follow from the configuration and from the file at `plan`, if there is one: neither
    from the cache nor from earlier runs of this machine, as all shards must agree. Raises
    `ConfigError` if the file is not the plan of this run.
    """
    whole = setup.grid()
    if plan is None:
        work = work_of(setup.config, whole)
        times = expected_times(setup.config, work)
        units = units_of(work, {id_: one.milliseconds for id_, one in times.items()})
    else:
        document = read_plan(plan)
        if document.config_sha256 != setup.config_sha256:
            raise ConfigError(
                f"{plan}: is the plan of another configuration than {setup.config_path}",
                cure="make it again: bench plan -o plan.json",
            )
        if [cell.id for cell in document.cells] != [cell.id for cell in whole.cells]:
            raise ConfigError(
                f"{plan}: is the plan of {', '.join(document.targets)} with Vela "
                f"{', '.join(document.velas)}, and its cells are others than this run's",
                cure="give the same targets and versions of Vela to `bench plan`",
            )
        units = document.units()
    own = shards_of(units, shard.count)[shard.number - 1]
    return replace(
        setup,
        shard=SetupShard(shard, frozenset(id_ for unit in own for id_ in unit.cells)),
    )
