"""One damaged input for each number: the same seed and number give the same anywhere."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from bench.core.errors import BenchError
from tests.fuzz.execution import Outcome, described
from tests.fuzz.inputs.benches import bench_case
from tests.fuzz.inputs.configurations import configuration_case
from tests.fuzz.inputs.entries import entry_case
from tests.fuzz.inputs.memory import PeakMemory
from tests.fuzz.inputs.run_reports import run_case
from tests.fuzz.inputs.seeds import Seeds
from tests.fuzz.inputs.user_files import dataset_case, model_case

__all__ = ["Entrance", "InputCase", "execute", "make_case"]

#: Every so many cases one is a whole bench.
BENCH_EVERY = 1000
#: A case may take this much memory more than there was before it.
_MEMORY_BYTES = 256 << 20


class Entrance(str, Enum):
    """Where a damaged input enters the bench."""

    CONFIGURATION = "configuration"
    MODEL = "model"
    DATASET = "data set"
    CACHE = "cache"
    RUN = "run"
    BENCH = "bench"


_TURNS = (
    *(Entrance.CONFIGURATION, Entrance.DATASET, Entrance.MODEL, Entrance.RUN, Entrance.CACHE),
    *(Entrance.CONFIGURATION, Entrance.DATASET, Entrance.RUN),
)


@dataclass(frozen=True)
class InputCase:
    """A damaged input that lies ready."""

    number: int
    entrance: Entrance
    #: What was damaged, and how.
    description: str
    #: Takes it in. Returns what was wrong about that; empty where nothing was.
    take: Callable[[], str]


def make_case(seeds: Seeds, directory: Path, seed: int, number: int) -> InputCase:
    """Case `number` of the campaign `seed`, in `directory`, which is emptied before."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    random = np.random.default_rng([seed, number])
    whole = number % BENCH_EVERY == BENCH_EVERY // 10
    entrance = Entrance.BENCH if whole else _TURNS[number % len(_TURNS)]
    description, take = _prepared(entrance, seeds, directory, random)
    return InputCase(number, entrance, description, take)


def _prepared(
    entrance: Entrance, seeds: Seeds, directory: Path, random: np.random.Generator
) -> tuple[str, Callable[[], str]]:
    if entrance is Entrance.CONFIGURATION:
        return configuration_case(seeds.configurations, directory, random)
    if entrance is Entrance.MODEL:
        return model_case(seeds.models, directory, random)
    if entrance is Entrance.DATASET:
        return dataset_case(seeds.models, directory, random)
    if entrance is Entrance.CACHE:
        return entry_case(seeds.cache, directory, random)
    if entrance is Entrance.RUN:
        return run_case(seeds.runs, directory, random)
    return bench_case(seeds.models, directory, random)


def execute(case: InputCase) -> Outcome:
    """Let the bench take the case in. Raises nothing but what ends the process."""
    started, memory = time.process_time(), PeakMemory()
    try:
        finding = case.take()
        verdict = "result"
    except BenchError as error:
        verdict = type(error).__name__
        finding = "" if str(error).strip() else "an error without a text"
    except Exception as error:
        verdict, finding = type(error).__name__, described(error)
    if not finding and memory.risen() > _MEMORY_BYTES:
        finding = f"takes {memory.risen() >> 20} MiB of memory"
    return Outcome(
        case.number, case.entrance.value, verdict, finding, time.process_time() - started
    )
