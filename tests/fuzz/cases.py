"""One mutated file for each number: the same seed and number give the same bytes anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from tests.fuzz.containers import NpzContainer, open_seed
from tests.fuzz.mutate_bytes import mutate_bytes
from tests.fuzz.mutate_graph import mutate_arrays, mutate_graph
from tests.fuzz.mutate_stream import mutate_payload, mutate_payload_bytes
from tests.fuzz.seeds import Seed

__all__ = ["Case", "Category", "make_case"]


class Category(str, Enum):
    """What is mutated."""

    FILE = "file"
    STREAM = "stream"
    WEIGHTS = "weights"
    GRAPH = "graph"


#: Streams have most to go wrong in.
_TURNS = (
    *(Category.STREAM, Category.FILE, Category.STREAM, Category.WEIGHTS, Category.STREAM),
    *(Category.GRAPH, Category.STREAM, Category.FILE),
)


@dataclass(frozen=True)
class Case:
    """A mutated file."""

    number: int
    category: Category
    #: The seed's name and the mutations.
    description: str
    suffix: str
    data: bytes


def make_case(seeds: Sequence[Seed], seed: int, number: int) -> Case:
    """Case `number` of the campaign `seed`."""
    random = np.random.default_rng([seed, number])
    category = _TURNS[number % len(_TURNS)]
    origin = seeds[int(random.integers(len(seeds)))]
    what, data = _mutated(origin, category, random)
    return Case(number, category, f"{origin.name}: {what}", origin.suffix, data)


def _mutated(origin: Seed, category: Category, random: np.random.Generator) -> tuple[str, bytes]:
    if category is Category.FILE and origin.suffix == ".tflite":
        return mutate_bytes(origin.data, random, resize=bool(random.random() < 0.3))
    container = open_seed(origin)
    if category is Category.FILE and random.random() < 0.3:
        return mutate_bytes(origin.data, random, resize=bool(random.random() < 0.3))
    if category in (Category.GRAPH, Category.FILE):
        if isinstance(container, NpzContainer):
            return mutate_arrays(container, random), container.close()
        return mutate_graph(container, random), container.close()
    if category is Category.STREAM:
        contents = container.payloads()
        index = int(random.integers(len(contents)))
        mutate = mutate_payload_bytes if random.random() < 0.1 else mutate_payload
        what, content = mutate(contents[index], random)
        container.set_payload(index, content)
    else:
        contents = container.constants()
        index = int(random.integers(len(contents)))
        resize = bool(random.random() < 0.1)
        what, content = mutate_bytes(contents[index], random, resize=resize)
        container.set_constants(index, content)
    return what, container.close()
