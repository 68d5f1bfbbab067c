"""Which layer of the network an operation of the command stream belongs to, by Vela's report.

The stream itself holds no names. Vela's per-layer report lists the layers in the order in which
they run, with their multiply-accumulates. An operation computes a whole layer, or a part of one if
weights are buffered by channels. So the operations of each kind are matched with the layers of that
kind, in order, such that their multiply-accumulates add up. If they do not (cascaded layers
alternate in stripes), the operations of that kind get no names; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from bench.compiler import LayerReport, Placement
from targets.artefact.stream.operations import (
    BlockOperation,
    Conv,
    Depthwise,
    Elementwise,
    Operation,
    Pool,
    PoolMode,
)

__all__ = ["NamedLayer", "layer_names", "short_name"]


class _Kind(Enum):
    CONV = "convolution"
    DEPTHWISE = "depthwise"
    POOL = "pool"
    SUM = "sum"
    ELEMENTWISE = "elementwise"


@dataclass(frozen=True)
class NamedLayer:
    """The layer of Vela's report that an operation belongs to."""

    name: str
    #: Vela's estimate of the layer's cycles; None for all but the layer's first operation.
    vela_cycles: int | None


def layer_names(
    operations: Sequence[Operation], layers: Sequence[LayerReport]
) -> Mapping[int, NamedLayer]:
    """The layer of each operation that could be matched, by the operation's index."""
    names: dict[int, NamedLayer] = {}
    ran = [layer for layer in layers if layer.target is Placement.NPU and not layer.fused]
    named = list(zip(_unique_names(ran), ran, strict=True))
    for kind in _Kind:
        mine = {i: op for i, op in enumerate(operations) if _kind_of_operation(op) is kind}
        names |= _matched(mine, [pair for pair in named if _kind_of_layer(pair[1]) is kind])
    return names


def _unique_names(layers: Sequence[LayerReport]) -> list[str]:
    """A name for each layer; neighbours that come from one operator share a name."""
    names: list[str] = []
    last = ("", "")
    for position, layer in enumerate(layers, start=1):
        name = short_name(layer)
        same = name is not None and (name, layer.original_operator) == last
        last = (name or "", layer.original_operator)
        if name is None:
            name = f"{layer.vela_operator} {position}"
        elif name in names and not same:
            name = f"{name} ({position})"
        names.append(names[-1] if same else name)
    return names


def _matched(
    operations: Mapping[int, Operation], layers: Sequence[tuple[str, LayerReport]]
) -> dict[int, NamedLayer]:
    """Operations and layers of one kind, or nothing if they do not add up."""
    names: dict[int, NamedLayer] = {}
    waiting = iter(layers)
    left = 0
    name, cycles = "", 0
    for index, operation in operations.items():
        first = left == 0
        if first:
            following = next(waiting, None)
            if following is None:
                return {}
            name, layer = following
            left, cycles = layer.macs, layer.op_cycles
        left -= _macs(operation)
        if left < 0:
            return {}
        names[index] = NamedLayer(name, cycles if first else None)
    return names if left == 0 and next(waiting, None) is None else {}


def _kind_of_operation(operation: Operation) -> _Kind | None:
    if isinstance(operation, Conv):
        return _Kind.CONV
    if isinstance(operation, Depthwise):
        return _Kind.DEPTHWISE
    if isinstance(operation, Pool):
        return _Kind.SUM if operation.mode is PoolMode.REDUCE_SUM else _Kind.POOL
    return _Kind.ELEMENTWISE if isinstance(operation, Elementwise) else None


def _kind_of_layer(layer: LayerReport) -> _Kind:
    operator = layer.vela_operator
    if "Depthwise" in operator:
        return _Kind.DEPTHWISE
    if "Pool" in operator:
        return _Kind.POOL
    if operator == "ReduceSum":
        return _Kind.SUM
    return _Kind.CONV if layer.macs else _Kind.ELEMENTWISE


def _macs(operation: Operation) -> int:
    """Multiply-accumulates as Vela counts them: padding included, none for elementwise."""
    if not isinstance(operation, BlockOperation) or isinstance(operation, Elementwise):
        return 0
    ofm, kernel = operation.ofm, operation.kernel
    macs = ofm.height * ofm.width * ofm.depth * kernel.height * kernel.width
    summed = _kind_of_operation(operation) in (_Kind.CONV, _Kind.SUM)
    return macs * operation.ifm.depth if summed else macs


#: Parts of a tensor's name that do not identify the layer: names of operators, and wrappers that
#: the converter puts around functions.
_GENERIC = re.compile(
    r"(MatMul|BiasAdd|Relu6?|Conv2D|depthwise|FusedBatchNorm\w*|ReadVariableOp|resource|AvgPool"
    r"|MaxPool|Mean(_intermediate)?|Softmax|Identity|add|(Stateful)?PartitionedCall\w*|model\w*Call)\d*(:\d+)?",
    re.IGNORECASE,
)


def short_name(layer: LayerReport) -> str | None:
    """A person's name for the layer, from the name of its output tensor; None if there is none.

    The converter joins the names of fused operators with `;`, the layer's own last. Each begins
    with the model's name: `mnist_fc/dense_1/Relu;mnist_fc/dense_1/BiasAdd` is `dense_1`.
    """
    if layer.original_operator == "Softmax" and layer.vela_operator != "Softmax":
        return "softmax"
    parts = layer.name.split(";")[-1].split("/")
    telling = [part for part in parts if part and not _GENERIC.fullmatch(part)]
    if len(parts) > 1:
        telling = [part for part in telling if part is not parts[0]]
    return telling[-1] if telling else None
