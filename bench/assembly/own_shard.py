"""The part of the plan that a run measures and judges, if it is a shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.plan.grid import Plan
from bench.plan.shards import Shard, parse_shard
from bench.records.run import ShardNote

__all__ = ["SetupShard"]


@dataclass(frozen=True)
class SetupShard:
    """A shard and what it has."""

    shard: Shard
    #: Ids of its cells; a shard may have none.
    cells: frozenset[str]

    def note(self, grid: Plan) -> ShardNote:
        """What its manifest says of it; `grid` is the plan of all shards."""
        ids = tuple(cell.id for cell in grid.cells)
        return ShardNote(number=self.shard.number, count=self.shard.count, grid_cells=ids)

    def to_data(self) -> list[Any]:
        """As plain values."""
        return [str(self.shard), sorted(self.cells)]

    @classmethod
    def from_data(cls, data: Sequence[Any]) -> SetupShard:
        """The inverse of `to_data`."""
        shard, cells = data
        return cls(parse_shard(shard), frozenset(cells))
