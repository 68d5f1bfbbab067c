"""What each layer of a compiled model gives for one input, on the simulator.

A layer may be several operations: stripes of rows, slices of channels, or steps of a calculation.
Slices and stripes are put together, so that two compiled models can be compared although Vela cut
the layer differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.core.arrays import Array
from targets.artefact import Artefact, load_artefact
from targets.artefact.debug_database import debug_database, read_database
from targets.artefact.layers import named_operations
from targets.artefact.stream.operations import BlockOperation, FeatureMap, Layout, Operation
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.tensors import BRICK_CHANNELS
from targets.protocol import LayerCycles
from targets.simulator.observation import CpuOutput, NpuOutput
from targets.simulator.simulator import Simulator
from targets.simulator.timing.layers import operation_label

__all__ = ["LayerOutput", "Part", "RunningModel", "whole"]


@dataclass(frozen=True, eq=False)
class Part:
    """What one operation gives of a layer."""

    #: Its label in records; the tensor's name on the CPU.
    operation: str
    #: `[height, width, depth]`, or the tensor's shape on the CPU.
    values: Array
    #: The kind of operation.
    kind: str = ""
    #: Where it is written; None on the CPU.
    place: FeatureMap | None = None


@dataclass(frozen=True, eq=False)
class LayerOutput:
    """What a layer gives in one inference, in the order of the work."""

    name: str
    parts: tuple[Part, ...]


class RunningModel:
    """A compiled model on the simulator, with the names of its layers."""

    def __init__(self, path: Path, accelerator: Accelerator, rows: Sequence[LayerCycles]) -> None:
        """`rows` are those of the cell's record; without them, Vela's debug database names layers.

        Raises `BenchError` if the model or its database cannot be read.
        """
        artefact = load_artefact(path)
        self._artefact = artefact
        self._simulator = Simulator(artefact, accelerator)
        self._operations = [
            operation for each in artefact.npu_operators for operation in each.operations
        ]
        self._names = (
            names_of_record(self._operations, rows) if rows else _names_of_database(artefact, path)
        )

    def outputs(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """What the model gives; see `Simulator.run`."""
        return self._simulator.run(inputs).outputs

    def layers(self, inputs: Sequence[Array], steps: int) -> list[tuple[LayerOutput, ...]]:
        """For each of the `steps` inferences of one row, what its layers give.

        `inputs` has one row, or one stream.
        """
        seen: list[NpuOutput | CpuOutput] = []
        self._simulator.run(inputs, seen.append)
        each = len(seen) // steps
        return [self._grouped(seen[i * each : (i + 1) * each]) for i in range(steps)]

    def _grouped(self, seen: Iterable[NpuOutput | CpuOutput]) -> tuple[LayerOutput, ...]:
        layers: dict[str, list[Part]] = {}
        for output in seen:
            name, part = self._part(output)
            layers.setdefault(name, []).append(part)
        return tuple(LayerOutput(name, tuple(parts)) for name, parts in layers.items())

    def _part(self, output: NpuOutput | CpuOutput) -> tuple[str, Part]:
        if isinstance(output, CpuOutput):
            name = self._artefact.tensors[output.tensor].name
            return name, Part(name, output.values[0], "CPU")
        operation = self._operations[output.operation]
        assert isinstance(operation, BlockOperation)
        label = operation_label(operation)
        name = self._names.get(output.operation, label)
        return name, Part(label, output.values[0], type(operation).__name__, operation.ofm)


def names_of_record(operations: Sequence[Operation], rows: Iterable[LayerCycles]) -> dict[int, str]:
    """Index of an operation -> its layer, from the rows of a record, which are in its order."""
    labels = [operation_label(operation) for operation in operations]
    names: dict[int, str] = {}
    at = 0
    for row in rows:
        try:
            at = labels.index(row.name, at)
        except ValueError:
            continue
        if row.layer:
            names[at] = row.layer
        at += 1
    return names


def _names_of_database(artefact: Artefact, path: Path) -> dict[int, str]:
    named = named_operations(artefact, read_database(debug_database(path)))
    names: dict[int, str] = {}
    first = 0
    for operator, each in zip(artefact.npu_operators, named, strict=True):
        names |= {first + place: operation.layer.name for place, operation in each.items()}
        first += len(operator.operations)
    return names


def whole(parts: Sequence[Part]) -> Array | None:
    """The output of a layer as `[height, width, depth]`, put together from slices and stripes.

    None if the parts are not slices and stripes of one output: steps of a calculation, or shapes
    that do not fit together.
    """
    if len(parts) == 1:
        return parts[0].values
    if len({part.kind for part in parts}) > 1 or any(part.place is None for part in parts):
        return None
    stripes: list[list[Part]] = []
    for part in parts:
        if stripes and _beside(stripes[-1], part):
            stripes[-1].append(part)
        else:
            stripes.append([part])
    rows = [np.concatenate([part.values for part in stripe], axis=2) for stripe in stripes]
    if len({row.shape[1:] for row in rows}) > 1:
        return None
    joined: Array = np.concatenate(rows, axis=0)
    return joined


def _beside(stripe: Sequence[Part], part: Part) -> bool:
    """Whether `part` has the channels that follow those of `stripe`."""
    first, place = stripe[0].place, part.place
    assert first is not None
    assert place is not None
    depth = sum(each.values.shape[2] for each in stripe)
    return (
        first.region == place.region
        and depth < _whole_depth(first)
        and part.values.shape[:2] == stripe[0].values.shape[:2]
        and place.bases[0] - first.bases[0] == _channel_offset(first, depth)
    )


def _whole_depth(place: FeatureMap) -> int:
    """The channels of the feature map that `place` is a part of, up to whole bricks."""
    if place.layout is Layout.NHWC:
        return place.stride_x // place.dtype.bytes
    # The bricks of a row lie one after the other.
    return place.stride_y // place.stride_c * BRICK_CHANNELS if place.stride_c else 0


def _channel_offset(place: FeatureMap, channel: int) -> int:
    if place.layout is Layout.NHWC:
        return channel * place.dtype.bytes
    brick, rest = divmod(channel, BRICK_CHANNELS)
    return brick * place.stride_c + rest * place.dtype.bytes
