"""The shards of a plan: parts that different machines measure and judge. Pure.

The partition depends only on the plan and on the expected times that are given, never on a cache or
a machine: every shard computes it by itself, and all must agree.

What must not be separated is a unit. Its cells share a training, or are judged together: a MAC
sweep, an order of variants, a variant and its base. So nothing is trained twice over all shards,
and each shard can judge everything that it has.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bench.core.errors import ConfigError
from bench.plan.cell import Cell
from bench.plan.expected import RECORD_MS
from bench.plan.grid import Plan, base_of
from bench.plan.work import StepKind, Work

__all__ = ["MOST_SHARDS", "Shard", "Unit", "parse_shard", "restricted", "shards_of", "units_of"]

#: More parts than any CI system runs at once.
MOST_SHARDS = 1000

_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


@dataclass(frozen=True)
class Shard:
    """Which part of how many: `2/5` is the second of five."""

    number: int
    count: int

    def __str__(self) -> str:
        """As the command line has it."""
        return f"{self.number}/{self.count}"


def parse_shard(text: str) -> Shard:
    """`2/5`. Raises `ConfigError` for anything else, also for `0/5` and `6/5`."""
    match = _SHARD.fullmatch(text)
    if match is not None:
        shard = Shard(int(match[1]), int(match[2]))
        if 1 <= shard.number <= shard.count <= MOST_SHARDS:
            return shard
    raise ConfigError(
        f"{text!r} is no shard",
        cure=f"write number/count, from 1/n to n/n, such as 2/5; n is at most {MOST_SHARDS}",
    )


@dataclass(frozen=True)
class Unit:
    """Cells that stay together."""

    #: Their ids, in the order of the plan.
    cells: tuple[str, ...]
    #: For everything they need, in milliseconds.
    milliseconds: int


def units_of(work: Work, milliseconds: Mapping[str, int]) -> tuple[Unit, ...]:
    """The units of a plan, in the order of their first cells.

    `milliseconds` has how long each step is expected to take, by its id.
    """
    together = _Together(work.plan.cells)
    known = {cell.id for cell in work.plan.cells}
    first: dict[str, Cell] = {}
    for cell in work.plan.cells:
        base = base_of(cell)
        if base.id in known:
            together.join(cell.id, base.id)
        for step in work.before([cell]):
            if step.kind is StepKind.TRAIN:
                together.join(cell.id, first.setdefault(step.id, cell).id)
    for group in (*work.plan.sweeps, *work.plan.orders):
        for cell in group.cells[1:]:
            together.join(group.cells[0].id, cell.id)
    members: dict[str, list[Cell]] = {}
    for cell in work.plan.cells:
        members.setdefault(together.root(cell.id), []).append(cell)
    return tuple(
        Unit(
            tuple(cell.id for cell in cells),
            RECORD_MS * len(cells) + sum(milliseconds[step.id] for step in work.before(cells)),
        )
        for cells in members.values()
    )


def shards_of(units: Sequence[Unit], count: int) -> tuple[tuple[Unit, ...], ...]:
    """`units` dealt to `count` shards, which should end at about the same time.

    The longest first, each to the shard with the least to do: at most 4/3 of the best possible
    (Graham 1969, "Bounds on multiprocessing timing anomalies"). Where there are fewer units than
    shards, the last shards are empty.
    """
    loads = [0] * count
    dealt: list[list[int]] = [[] for _ in range(count)]
    longest = sorted(range(len(units)), key=lambda place: (-units[place].milliseconds, place))
    for place in longest:
        least = min(range(count), key=lambda shard: (loads[shard], shard))
        dealt[least].append(place)
        loads[least] += units[place].milliseconds
    return tuple(tuple(units[place] for place in sorted(places)) for places in dealt)


def restricted(plan: Plan, cells: Collection[str]) -> Plan:
    """`plan` with the cells of these ids alone, and with the groups that they form."""
    kept = {cell for cell in plan.cells if cell.id in cells}
    return Plan(
        tuple(cell for cell in plan.cells if cell in kept),
        tuple(group for group in plan.sweeps if kept.issuperset(group.cells)),
        tuple(group for group in plan.orders if kept.issuperset(group.cells)),
    )


class _Together:
    """Sets that are joined (union-find)."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._above = {cell.id: cell.id for cell in cells}

    def root(self, id_: str) -> str:
        while self._above[id_] != id_:
            # Halving the path keeps it short.
            self._above[id_] = self._above[self._above[id_]]
            id_ = self._above[id_]
        return id_

    def join(self, one: str, other: str) -> None:
        self._above[self.root(one)] = self.root(other)
