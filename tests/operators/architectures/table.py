"""The page of all architectures and how each ended: `docs/architectures.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.operators.architectures.architecture import Architecture
from tests.operators.architectures.playing import Outcome

__all__ = ["PAGE", "page", "row"]

PAGE = Path(__file__).parents[3] / "docs" / "architectures.md"

_HEAD = """# Architectures

`make architectures` builds {count} small networks with the generator in
`tests/operators/architectures/` and plays each through the whole bench on target `sim`: compiled by
Vela, executed, and compared with the reference interpreter, with every MAC count and both memory
modes. It fails if a cell or a figure is lost, or if a network does not end as the generator says.
Otherwise it writes this page. `make test` plays a sample and checks that the page is current.

- *exact*: every element of every output equals the reference's.
- *deviation*: a few elements differ, within the tolerance that the configuration states, because of
  an operator that [the simulator's page](simulator.md#where-outputs-may-differ-from-tflite-micro)
  lists.
- *not judged*: there is no exact reference, for the reason given.

No network has labelled data, so none has an `accuracy`. Target `sim` counts no idle cycles, so none
has an `npu_active_share`. All other figures, such as sizes, cycles and beats, are there for each.

| Family | Architecture | Outputs | On the CPU |
| --- | --- | --- | --- |
"""


def row(architecture: Architecture, outcome: Outcome) -> str:
    """The line of one architecture."""
    cells = architecture.family, f"`{architecture.name}`", outcome.outputs, outcome.on_cpu
    return f"| {' | '.join(cells)} |"


def page(architectures: Sequence[Architecture], outcomes: Mapping[str, Outcome]) -> str:
    """The whole page; `outcomes` by the architectures' names."""
    rows = [row(one, outcomes[one.name]) for one in architectures]
    return _HEAD.format(count=len(rows)) + "\n".join(rows) + "\n"
