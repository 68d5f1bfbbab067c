"""What is kept of a run as a whole: its manifest, and the order of its variants."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from bench.core.schema import RecordModel
from bench.plan.cell import Cell
from bench.records.record import JudgedModel, Verdict
from targets.timing_profiles import TimingProfile

__all__ = ["CiJob", "OrderRecord", "Revision", "RunManifest", "ShardNote", "Surroundings"]

_OLDER = "the run is from before the bench noted it"


class Revision(RecordModel):
    """What was checked out where the run's configuration is."""

    #: The whole hash of the commit; empty for the reason in `absent`.
    commit: str = ""
    #: Empty if nothing names one.
    branch: str = ""
    #: Whether a tracked file differed from the commit.
    dirty: bool = False
    absent: str = ""


class CiJob(RecordModel):
    """Where the CI job of a run can be looked at."""

    #: Without credentials; empty for the reason in `absent`.
    address: str = ""
    absent: str = ""


class Surroundings(RecordModel):
    """Of what, by whom and with which tools a run was made."""

    revision: Revision = Revision(absent=_OLDER)
    ci_job: CiJob = CiJob(absent=_OLDER)
    #: Distribution -> version.
    tools: dict[str, str] = Field(default_factory=dict)
    #: Distribution -> why its version is not known.
    tools_absent: dict[str, str] = Field(default_factory=dict)


class ShardNote(RecordModel):
    """Which part of a grid a run was."""

    number: int
    count: int
    #: Ids of the cells of all shards.
    grid_cells: tuple[str, ...]


class RunManifest(RecordModel):
    """What belongs to the run and not to its figures."""

    schema_version: Literal[1] = 1
    started: str
    host: str
    python: str
    platform: str
    config_path: str
    config_sha256: str
    data: str
    #: Where the run was started.
    directory: str = ""
    planned_cells: tuple[str, ...]
    #: Key of the configuration -> its line there, counted from 1, for reports that point at it.
    config_lines: dict[str, int] = Field(default_factory=dict)
    #: The timing profiles the cells are measured with, by name; empty in older manifests.
    timing: dict[str, TimingProfile] = Field(default_factory=dict)
    surroundings: Surroundings = Surroundings()
    #: None for a run of the whole grid.
    shard: ShardNote | None = None

    @property
    def grid_cells(self) -> tuple[str, ...]:
        """The cells of the whole grid, of which a shard has only planned its own."""
        return self.planned_cells if self.shard is None else self.shard.grid_cells

    @property
    def config_name(self) -> str:
        """The configuration as dashboards should point at it: relative to where the run began."""
        path, root = Path(self.config_path), Path(self.directory)
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

    @classmethod
    def now(
        cls,
        *,
        config_path: Path,
        config_sha256: str,
        data: str,
        cells: tuple[Cell, ...],
        config_lines: Mapping[str, int],
        timing: Mapping[str, TimingProfile],
        surroundings: Surroundings,
        shard: ShardNote | None = None,
    ) -> RunManifest:
        """The manifest of a run that starts now on this machine."""
        return cls(
            started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            host=platform.node(),
            python=platform.python_version(),
            platform=platform.platform(),
            config_path=str(config_path.resolve()),
            directory=str(Path.cwd()),
            config_sha256=config_sha256,
            data=data,
            planned_cells=tuple(cell.id for cell in cells),
            config_lines=dict(config_lines),
            timing=dict(timing),
            surroundings=surroundings,
            shard=shard,
        )


class OrderRecord(JudgedModel):
    """The judged order of the variants of one configuration."""

    id: str
    cells: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
