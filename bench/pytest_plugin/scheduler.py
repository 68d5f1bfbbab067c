"""Which xdist worker gets which tests: a family of cells stays together.

All tests of the cells that share one trained model go to one worker, so a worker does not sit
waiting for another's training while there is other work. The families alternate between
workloads (see `bench.plan.grid.make_plan`), so the first workers begin with different trainings.
Cells of a target with a single device go to one worker, whatever their family: it drives the device
and gives it all of them together.
"""

from __future__ import annotations

import re

from xdist.scheduler.loadscope import LoadScopeScheduling

from targets.registry import EXCLUSIVE

__all__ = ["FamilyScheduling", "family_of"]

_PARAMETER = re.compile(r"\[(?P<id>.+)\]$")


def family_of(nodeid: str) -> str:
    """The scheduling group of a test: `workload-variant` of its cell or sweep, else itself.

    For a target with a single device it is the target.

    Tests over several variants (`test_variant_order`) carry a workload and an accelerator in
    that place and so form groups of their own.
    """
    match = _PARAMETER.search(nodeid)
    if match is None:
        return nodeid
    parts = match["id"].split("-")
    # Workload and variant come first and could bear a target's name.
    exclusive = [part for part in parts[2:] if part in EXCLUSIVE]
    return exclusive[0] if exclusive else "-".join(parts[:2])


class FamilyScheduling(LoadScopeScheduling):
    """xdist's scope scheduler with the cell's family as the scope."""

    def _split_scope(self, nodeid: str) -> str:
        return family_of(nodeid)
