"""The tasks: what is done on a worker. Functions of their arguments, and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from bench.cluster.kit import Kit
from bench.cluster.parcels import Parcel, accept_all, packed, unshared
from bench.cluster.seat import Sitting, seat_here
from bench.core import errors
from bench.core.errors import BenchError

__all__ = ["Failure", "Made", "hold", "make_compiled", "make_records", "make_variant"]


@dataclass(frozen=True)
class Failure:
    """A `BenchError` as plain values."""

    #: The names of its class and of those above, from the nearest on.
    kinds: tuple[str, ...]
    what: str
    cure: str

    @classmethod
    def of(cls, error: BenchError) -> Failure:
        """What `error` says."""
        return cls(tuple(one.__name__ for one in type(error).__mro__), error.what, error.cure)

    def error(self) -> BenchError:
        """An error that says the same, with a class of the same name.

        The class may belong to a device whose package is only loaded where the device is. So it is
        made again, below the nearest one of the common tree.
        """
        name, *_ = self.kinds
        common: type[BenchError] = next(
            getattr(errors, kind) for kind in self.kinds if kind in errors.__all__
        )
        kind: type[BenchError] = common if name == common.__name__ else type(name, (common,), {})
        return kind(self.what, cure=self.cure)


@dataclass(frozen=True)
class Made:
    """What a task gives."""

    #: Cell id -> its record as JSON, or why there is none.
    outcomes: Mapping[str, bytes | Failure] = field(default_factory=dict)
    #: What was made for it, or found in the worker's cache.
    parcels: tuple[Parcel, ...] = ()
    #: Why there is nothing; None if there is.
    failure: Failure | None = None


#: Parcels from the tasks before.
Delivered = Sequence[tuple[Parcel, ...]]


def hold(value: Any) -> Any:
    """A kit or parcels, as a task: Dask makes it again if the worker that holds them is lost."""
    return value


def make_variant(kit: Kit, delivered: Delivered, workload: str, variant: str) -> Made:
    """Train a variant, unless the worker has it."""

    def make(sitting: Sitting) -> dict[str, bytes | Failure]:
        config = sitting.tools.setup.config
        sitting.tools.models.quantised(workload, config.workloads[workload], variant)
        return {}

    return _made(kit, delivered, make)


def make_compiled(kit: Kit, delivered: Delivered, cells: tuple[str, ...]) -> Made:
    """Compile the models of `cells`. One that cannot be compiled says so when it is measured."""

    def make(sitting: Sitting) -> dict[str, bytes | Failure]:
        engine = sitting.engine(cells)
        for id_ in cells:
            seat_here().require_wanted()
            with suppress(BenchError):
                engine.compiled(sitting.cells[id_])
        return {}

    return _made(kit, delivered, make)


def make_records(kit: Kit, delivered: Delivered, cells: tuple[str, ...]) -> Made:
    """Make the records of `cells`."""

    def make(sitting: Sitting) -> dict[str, bytes | Failure]:
        engine = sitting.engine(cells)
        outcomes: dict[str, bytes | Failure] = {}
        for id_ in cells:
            seat_here().require_wanted()
            try:
                outcomes[id_] = engine.record(sitting.cells[id_]).model_dump_json().encode()
            except BenchError as error:
                outcomes[id_] = Failure.of(error)
        return outcomes

    return _made(kit, delivered, make)


def _made(
    kit: Kit, delivered: Delivered, make: Callable[[Sitting], dict[str, bytes | Failure]]
) -> Made:
    try:
        with seat_here().taken(kit) as sitting:
            known = {
                entry.key.digest
                for parcels in delivered
                for entry in accept_all(sitting.cache, parcels)
            }
            sitting.cache.noted.clear()
            outcomes = make(sitting)
            seat_here().require_wanted()
            new = [e for e in sitting.cache.noted.values() if e.key.digest not in known]
            return Made(outcomes, tuple(packed(entry) for entry in unshared(new)))
    except BenchError as error:
        return Made(failure=Failure.of(error))
