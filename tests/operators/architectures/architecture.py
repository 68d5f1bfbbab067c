"""An architecture: a whole small network, and how it must end when the bench plays it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.operators.case import Deviation, seed_of
from tests.operators.network import Network, Value

__all__ = ["Architecture", "Build", "family"]

Build = Callable[[Network], Value | Sequence[Value]]


@dataclass(frozen=True)
class Architecture:
    """One network. `name` is unique and part of its cells' ids.

    It must end bit-exact, unless one of the last two fields says otherwise.
    """

    name: str
    family: str
    build: Build
    #: By how much its outputs may differ, for a reason that `docs/simulator.md` lists.
    deviation: Deviation | None = None
    #: A part of the reason why nothing can be said about its outputs.
    unjudged: str = ""

    def model(self) -> bytes:
        """The `.tflite` file; the same bytes at every call."""
        network = Network(seed_of(self.name))
        outputs = self.build(network)
        return network.serialise([outputs] if isinstance(outputs, Value) else outputs)


def family(name: str, *members: tuple[str, Build]) -> Iterator[Architecture]:
    """Architectures of a family, all of them bit-exact."""
    for member, build in members:
        yield Architecture(member, name, build)
