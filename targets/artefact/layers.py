"""Which layer of the network each operation of a compiled model belongs to, by name.

A compiled model does not say: its operators are called `ethos-u`, whatever they were before. Vela's
debug database does. It has an entry where the last operation was issued of what Vela scheduled as
one, so an operation without an entry belongs to the next one. So do transfers and waits: Vela
issues them just before the operation that needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bench.core.errors import ModelError
from bench.tflite.layer_names import unique_names
from targets.artefact.debug_database import Origin, Performance, Source, Streams
from targets.artefact.model import Artefact, NpuOperator
from targets.artefact.stream.operations import BlockOperation, Operation

__all__ = ["Layer", "NamedOperation", "named_operations"]

#: An operator of the model, or what Vela made of one that nobody names.
_Maker: TypeAlias = Source | Origin


@dataclass(frozen=True)
class Layer:
    """An operator of the model that was compiled."""

    #: Its position among the model's operators; None if Vela does not say.
    index: int | None
    #: Vela's name of the kind, such as `Conv2D`.
    operator: str
    #: The name of its result; empty if nobody says.
    tensor: str
    #: A person's name for it, unique in the model.
    name: str

    def __str__(self) -> str:
        # A converter joins the names of all fused operators; the first is that of the result.
        index = "?" if self.index is None else self.index
        return f"layer {index}: {self.operator}  {self.tensor.split(';')[0]}"


@dataclass(frozen=True)
class NamedOperation:
    """An operation of a command stream and its layer."""

    layer: Layer
    #: Vela's estimate for what it scheduled as one; None for all but the first operation of that.
    vela_cycles: int | None


def named_operations(
    artefact: Artefact, database: Streams, results: Sequence[str] = ()
) -> tuple[Mapping[int, NamedOperation], ...]:
    """For each `ethos-u` operator: index among its operations -> layer.

    All operations have one but those after which nothing is computed (STOP). `results` has the name
    of what each operator of the source model gives, where that model is known. The database lacks
    these names for models of several subgraphs, and does not say of all operations what they were
    made from.

    Raises `ModelError` unless the database belongs to `artefact`.
    """
    entries = [
        _entries(operator.operations, stream)
        for operator, stream in _with_streams(artefact, database)
    ]
    model = _Model(database, results)
    makers = model.makers([origin for each in entries for origin in each if origin is not None])
    layers = model.layers(makers.values())
    return tuple(
        _named(operator.operations, [None if o is None else layers[makers[o]] for o in each], each)
        for operator, each in zip(artefact.npu_operators, entries, strict=True)
    )


def _with_streams(
    artefact: Artefact, database: Streams
) -> Iterator[tuple[NpuOperator, Mapping[int, Origin]]]:
    """The operators with their streams; the database may have those of other subgraphs too."""
    streams = iter(database.operations)
    for operator in artefact.npu_operators:
        stream = next((each for each in streams if _fits(operator, each)), None)
        if stream is None:
            raise ModelError(
                f"the debug database does not belong to {artefact.name}: it names other operations",
                cure="compile the model again with --enable-debug-db, or remove the database",
            )
        yield operator, stream


def _fits(operator: NpuOperator, stream: Mapping[int, Origin]) -> bool:
    words = [each.word for each in operator.operations]
    blocks = [each.word for each in operator.operations if isinstance(each, BlockOperation)]
    return stream.keys() <= set(words) and set(blocks[-1:]) <= stream.keys()


def _entries(
    operations: Sequence[Operation], stream: Mapping[int, Origin]
) -> tuple[Origin | None, ...]:
    """The origin of each operation: its own entry, or the next."""
    found: list[Origin | None] = []
    following: Origin | None = None
    for operation in reversed(operations):
        following = stream.get(operation.word, following)
        found.append(following)
    return tuple(reversed(found))


class _Model:
    """The operators of the model that was compiled, and what each of them gives."""

    def __init__(self, database: Streams, results: Sequence[str]) -> None:
        # The operators of the first subgraph come first, and the NPU's are all there.
        self._first = {source.index: source for source in reversed(database.sources)}
        self._tensors = {
            source: database.results.get(source.number, "") for source in database.sources
        }
        known = {self._first[i]: name for i, name in enumerate(results) if i in self._first}
        self._tensors |= known
        self._by_tensor = {name: source for source, name in known.items()}

    def makers(self, origins: Sequence[Origin]) -> dict[Origin, _Maker]:
        """The operator that each of `origins`, in their order, is a part of.

        Vela takes some operators apart without saying so (ARG_MAX). The last part writes the
        operator's result, and those just before it are the others. Where nobody says what an origin
        was, it stands for itself.
        """
        made: dict[Origin, _Maker] = {}
        following: Source | None = None
        for origin in reversed(origins):
            if origin.source is not None:
                made[origin], following = origin.source, None
            else:
                following = self._by_tensor.get(origin.tensor, following)
                made.setdefault(origin, following or origin)
        return made

    def layers(self, makers: Iterable[_Maker]) -> dict[_Maker, Layer]:
        """The layer of each of `makers`, in the model's order."""
        wanted = dict.fromkeys(makers)
        described: dict[_Maker, tuple[int | None, str, str]] = {
            source: (source.index, source.operator, tensor)
            for source, tensor in self._tensors.items()
            if source in wanted
        }
        for maker in wanted:
            if isinstance(maker, Origin):
                described[maker] = (None, maker.operator, maker.tensor)
        names = unique_names(described.values())
        return {
            maker: Layer(*each, name)
            for (maker, each), name in zip(described.items(), names, strict=True)
        }


def _named(
    operations: Sequence[Operation],
    layers: Sequence[Layer | None],
    origins: Sequence[Origin | None],
) -> dict[int, NamedOperation]:
    """The operations with their layers; Vela's cycles stand at the first that computes."""
    named: dict[int, NamedOperation] = {}
    told: set[Performance] = set()
    for place, (operation, layer, origin) in enumerate(
        zip(operations, layers, origins, strict=True)
    ):
        if layer is None or origin is None:
            continue
        performance = origin.performance
        if performance in told or not isinstance(operation, BlockOperation):
            performance = None
        if performance is not None:
            told.add(performance)
        named[place] = NamedOperation(layer, None if performance is None else performance.cycles)
    return named
