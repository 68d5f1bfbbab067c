"""A case of the operator suite, and the inputs it is run with."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.arrays import Array
from bench.tflite.model_file import ModelFile, inspect
from targets.ethos_u55.accelerators import Accelerator
from tests.operators.network import RANGES, Network, Value
from tests.operators.toolchain import Oracle

__all__ = ["ROWS", "Case", "Deviation", "inputs_for", "seed_of", "single_input"]

#: Inferences a case is run with.
ROWS = 20

Build = Callable[[Network], Value | Sequence[Value]]


@dataclass(frozen=True)
class Deviation:
    """By how much and how often a case may differ from its oracle, and why it does."""

    quanta: int
    #: Largest share of the elements.
    share: float
    reason: str


@dataclass(frozen=True)
class Case:
    """One small model. `name` is `operator/what is special`, and unique."""

    name: str
    build: Build
    oracle: Oracle = Oracle.TFLM
    #: Why Vela leaves the operator to the CPU; empty where it lands on the NPU.
    on_cpu: str = ""
    #: None: bit for bit.
    deviation: Deviation | None = None
    #: What Vela compiles wrongly; then the outputs must differ or the stream be refused, so that
    #: a cured Vela is noticed.
    vela_fault: str = ""
    fault_on: frozenset[Accelerator] = frozenset(Accelerator)

    @property
    def operator(self) -> str:
        """The part of the name before the slash."""
        return self.name.split("/")[0]

    def model(self) -> bytes:
        """The `.tflite` file; the same bytes at every call."""
        network = Network(seed_of(self.name))
        outputs = self.build(network)
        return network.serialise([outputs] if isinstance(outputs, Value) else outputs)


def single_input(
    name: str,
    shape: tuple[int, ...],
    operate: Callable[[Network, Value], Value | Sequence[Value]],
    *,
    dtype: str = "int8",
    scale: float | None = None,
    zero_point: int | None = None,
    **expectations: Any,
) -> Case:
    """A case whose only input is given to `operate`; `expectations` are fields of `Case`."""

    def build(network: Network) -> Value | Sequence[Value]:
        return operate(network, network.input(shape, dtype, scale, zero_point))

    return Case(name, build, **expectations)


def seed_of(name: str) -> int:
    """A seed that does not change from run to run, as `hash` would."""
    return zlib.crc32(name.encode())


def inputs_for(path: Path, rows: int, seed: int) -> tuple[Array, ...]:
    """Inputs of the model at `path`: the smallest and largest value throughout, both mixed,
    the zero point, a ramp, and random values over the whole range for the rest.
    """
    random = np.random.default_rng(seed)
    model: ModelFile = inspect(path)
    arrays = []
    for index, tensor in enumerate(model.inputs):
        low, high = RANGES[tensor.dtype]
        shape = tensor.shape[1:]
        values = random.integers(low, high, (rows, *shape), endpoint=True)
        values[0] = low
        values[1] = high
        # Operands at opposite ends.
        values[2] = (low, high)[index % 2]
        values[3] = random.choice([low, high], shape)
        values[4] = tensor.zero_points[0] if tensor.zero_points else 0
        values[5] = np.resize(np.arange(low, high + 1, (high - low) // 255), shape)
        arrays.append(values.astype(tensor.dtype))
    return tuple(arrays)
