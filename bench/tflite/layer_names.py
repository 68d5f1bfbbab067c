"""What a person calls a layer, from the name of its output tensor."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["short_name", "unique_names"]

#: Parts of a tensor's name that do not identify the layer: names of operators, and wrappers that
#: the converter puts around functions.
_GENERIC = re.compile(
    r"(MatMul|BiasAdd|Relu6?|Conv2D|depthwise|FusedBatchNorm\w*|ReadVariableOp|resource|AvgPool"
    r"|MaxPool|Mean(_intermediate)?|Softmax|Identity|add|(Stateful)?PartitionedCall\w*|model\w*Call)\d*(:\d+)?",
    re.IGNORECASE,
)


def short_name(operator: str, tensor: str) -> str | None:
    """A person's name for a layer of Vela's kind `operator` that writes `tensor`, if it has one.

    The converter joins the names of fused operators with `;`, the layer's own last. Each begins
    with the model's name: `mnist_fc/dense_1/Relu;mnist_fc/dense_1/BiasAdd` is `dense_1`.
    """
    if operator == "Softmax":
        return "softmax"
    parts = tensor.split(";")[-1].split("/")
    telling = [part for part in parts if part and not _GENERIC.fullmatch(part)]
    if len(parts) > 1:
        telling = [part for part in telling if part is not parts[0]]
    return telling[-1] if telling else None


def unique_names(layers: Iterable[tuple[int | None, str, str]]) -> list[str]:
    """A name for each layer, given by its position, kind and output tensor; no two are the same."""
    names: dict[str, None] = {}
    for index, operator, tensor in layers:
        place = "" if index is None else f" {index}"
        name = short_name(operator, tensor) or f"{operator}{place}"
        if name in names and index is not None:
            name = f"{name} ({index})"
        base, count = name, 1
        while name in names:
            count += 1
            name = f"{base} #{count}"
        names[name] = None
    return list(names)
