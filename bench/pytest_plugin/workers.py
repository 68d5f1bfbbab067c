"""Whether a run has workers, and what each process of it has to measure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from bench.assembly.looking import holds_everything
from bench.assembly.session import BenchSession
from bench.core.logging import log_to_file, log_to_lines
from bench.measuring.progress import append_to, noting
from bench.plan.cell import Cell
from bench.plan.grid import Group, with_bases
from bench.records.run_directory import worker_name

__all__ = ["AUTOMATIC", "is_alone", "spare_workers", "wanted_cells"]

#: Up to this many cells, workers start for longer than one process needs to judge what is there.
_FEW_CELLS = 100
#: Set where the user leaves the number of workers to us: `-n auto`.
AUTOMATIC = pytest.StashKey[bool]()


def spare_workers(config: pytest.Config, session: BenchSession) -> None:
    """Start no workers if their number is ours to choose, and nothing has to be made.

    To be called before xdist is configured.
    """
    if not config.stash.get(AUTOMATIC, False) or len(session.plan.cells) > _FEW_CELLS:
        return
    run = session.run
    # Damage in the cache is told here, by whoever meets it first.
    with log_to_file(run.log(worker_name())), log_to_lines(noting(append_to(run.progress))):
        if holds_everything(session.setup):
            config.option.numprocesses, config.option.dist, config.option.tx = 0, "no", []


def is_alone(config: pytest.Config) -> bool:
    """Whether no other process measures, so that nobody else would train meanwhile."""
    worker_input: dict[str, Any] = getattr(config, "workerinput", {})
    return int(worker_input.get("workercount", 1)) == 1


def wanted_cells(items: Iterable[pytest.Item]) -> tuple[Cell, ...]:
    """The cells that the selected tests need; a cell is compared with its base."""
    named: list[Cell] = []
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        for value in parameters.values():
            cells = value.cells if isinstance(value, Group) else (value,)
            named += (cell for cell in cells if isinstance(cell, Cell))
    return with_bases(named)
