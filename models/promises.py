"""Whether a quantised model keeps what its variant promises. Without TensorFlow.

The weights of a layer are found by name, shape and content, because converters rename, fold and
merge. A layer that cannot be found is an error: what was not checked was not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.core.errors import BuildError
from bench.tflite.graph import FileGraph, TensorInfo
from models.lineage import Found, Kept, Promise

__all__ = ["Kernel", "check_promises"]

#: A rounded share of zeros may be this much lower than promised: 0.5 %, or 2 weights.
_SHARE_TOLERANCE = 0.005
_WEIGHTS_TOLERANCE = 2
#: Without its name, a tensor is a layer's if its channels point where the layer's do.
_ALIKE = 0.9


@dataclass(frozen=True, eq=False)
class Kernel:
    """A float weight of a layer, as it was quantised."""

    layer: str
    #: `kernel`, `pointwise_kernel` and so on.
    weight: str
    #: float32, output channels first and input channels last, as TFLite has it.
    values: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Candidate:
    info: TensorInfo
    names: frozenset[str]
    #: int8, in the shape of the kernel.
    values: npt.NDArray[np.int8]
    #: Mean of the cosines between its output channels and the kernel's, 0..1.
    likeness: float


def check_promises(
    promises: Mapping[str, Promise], kernels: Iterable[Kernel], graph: FileGraph
) -> tuple[Kept, ...]:
    """What was promised of each kernel, and what the model has.

    Raises:
        BuildError: a promise is broken, or a kernel is not found in the model.
    """
    kept = []
    for kernel in kernels:
        promise = promises[kernel.layer]
        candidate = _find(kernel, graph)
        found = _examine(promise, candidate)
        problem = _broken(promise, kernel, candidate, found)
        if problem is not None:
            raise problem
        kept.append(Kept(layer=kernel.layer, weight=kernel.weight, promise=promise, found=found))
    missing = sorted(promises.keys() - {entry.layer for entry in kept})
    if missing:
        raise BuildError(f"layer {missing[0]!r}: its promise cannot be checked: it has no kernel")
    return tuple(kept)


def _find(kernel: Kernel, graph: FileGraph) -> _Candidate:
    candidates = list(_candidates(kernel, graph))
    named = [one for one in candidates if kernel.layer in one.names]
    best = max(named or candidates, key=lambda one: one.likeness, default=None)
    if best is None or (not named and best.likeness < _ALIKE):
        raise BuildError(
            f"layer {kernel.layer!r}: its {kernel.weight} {list(kernel.values.shape)} is not found "
            f"in the quantised model, so what it promises cannot be checked; "
            f"int8 constants of this shape: {len(candidates)}",
            cure="leave the layer out of `layers`, or give it a name of its own: were wrappers of "
            "tfmot left around it?",
        )
    return best


def _candidates(kernel: Kernel, graph: FileGraph) -> Iterator[_Candidate]:
    """The int8 constants that have the shape of `kernel`."""
    shape = _squeezed(kernel.values.shape)
    names = _names_of_constants(graph)
    for index, (info, data) in enumerate(zip(graph.tensors, graph.constants, strict=True)):
        if (
            data is None
            or info.dtype != "int8"
            or info.is_sparse
            or data.size != kernel.values.size
        ):
            continue
        stored = data.view(np.int8).reshape(info.shape)
        for values in (stored, stored.T) if stored.ndim == 2 else (stored,):
            if _squeezed(values.shape) == shape:
                shaped = values.reshape(kernel.values.shape)
                likeness = _likeness(kernel.values, shaped)
                yield _Candidate(info, names.get(index, frozenset()), shaped, likeness)


def _names_of_constants(graph: FileGraph) -> dict[int, frozenset[str]]:
    """Constant -> the parts of its own name, and of those of the operators' biases and outputs.

    The parts are the layers' names, since a name is a path, or several that were merged:
    `model/dense_1/MatMul;model/dense_1/BiasAdd`.
    """
    names: dict[int, set[str]] = {}
    for operator in graph.operators:
        around = [i for i in (*operator.inputs[2:], *operator.outputs) if i >= 0]
        for index in (i for i in operator.inputs if i >= 0 and graph.constants[i] is not None):
            parts = _parts(graph.tensors[index].name)
            for other in around if not parts else ():
                parts |= _parts(graph.tensors[other].name)
            names.setdefault(index, set()).update(parts)
    return {index: frozenset(parts) for index, parts in names.items()}


def _parts(name: str) -> set[str]:
    """The parts of a path but its last, which is the operation."""
    paths = [path.split("/")[:-1] for path in name.split(";")]
    parts = {part for path in paths for part in path}
    # Quantisation-aware training puts this before a layer's name.
    return parts | {part.removeprefix("quant_") for part in parts}


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _likeness(kernel: npt.NDArray[np.float32], stored: npt.NDArray[np.int8]) -> float:
    one = kernel.reshape(len(kernel), -1).astype(np.float64)
    two = stored.reshape(len(kernel), -1).astype(np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    some = lengths > 0
    if not some.any():
        return 0.0
    # A folded batch norm may turn a channel round.
    cosines = np.abs((one * two).sum(axis=1)[some]) / lengths[some]
    return float(cosines.mean())


def _examine(promise: Promise, candidate: _Candidate) -> Found:
    values, many = candidate.values, len(candidate.info.scales) > 1
    by_channel = many or promise.per_channel
    return Found(
        tensor=candidate.info.name,
        sparsity=float(np.mean(values == 0)),
        values=_most_values(values) if by_channel else int(np.unique(values).size),
        values_in="channel" if by_channel else "tensor",
        groups_short=0 if promise.n_of_m is None else _groups_short(values, *promise.n_of_m),
    )


def _most_values(kernel: npt.NDArray[np.generic]) -> int:
    return max(int(np.unique(channel).size) for channel in kernel)


def _groups_short(kernel: npt.NDArray[np.generic], zeros: int, group: int) -> int:
    """Groups of consecutive input channels with fewer than `zeros` zeros; a rest is no group."""
    rows = kernel.reshape(-1, kernel.shape[-1])
    whole = rows[:, : rows.shape[1] // group * group].reshape(-1, group)
    return int(np.count_nonzero((whole == 0).sum(axis=1) < zeros))


def _broken(
    promise: Promise, kernel: Kernel, candidate: _Candidate, found: Found
) -> BuildError | None:
    """The error of a broken promise, with the likely cause."""
    lost_zeros = found.sparsity < _least_share(promise.sparsity, kernel.values.size)
    if lost_zeros or found.groups_short:
        return _lost_zeros(promise, kernel, candidate, found)
    if promise.values is not None and found.values > promise.values:
        return _lost_values(promise, kernel, candidate, found)
    return None


def _least_share(promised: float, weights: int) -> float:
    return promised - max(_SHARE_TOLERANCE, _WEIGHTS_TOLERANCE / weights)


def _lost_zeros(
    promise: Promise, kernel: Kernel, candidate: _Candidate, found: Found
) -> BuildError:
    if promise.n_of_m is None:
        what = f"{promise.sparsity:.1%} zeros are promised, and the quantised model has "
        what += f"{found.sparsity:.1%}"
        in_float = np.mean(kernel.values == 0) >= _least_share(promise.sparsity, kernel.values.size)
    else:
        zeros, group = promise.n_of_m
        what = f"{zeros} zeros in {group} weights are promised, and {found.groups_short} groups of "
        what += "the quantised model have fewer"
        in_float = _groups_short(kernel.values, zeros, group) == 0
    points = sorted(set(candidate.info.zero_points) - {0})
    if points:
        cause = f"its zero point is {points[0]}, so a zero weight is not stored as 0"
        cure = "convert with symmetric weights"
    elif not in_float:
        cause = (
            f"its float kernel has {np.mean(kernel.values == 0):.1%} already: the last training "
            "did not reach or keep them, or its wrappers were not stripped"
        )
        cure = "keep them with preserve_sparsity, or preserve; list the layer in `layers`"
    else:
        cause = "its float kernel has them: what was folded into it, a BatchNorm say, moved them"
        cure = "leave the layer out of `layers`"
    return BuildError(f"layer {kernel.layer!r}: {what}; {cause}", cure=cure)


def _lost_values(
    promise: Promise, kernel: Kernel, candidate: _Candidate, found: Found
) -> BuildError:
    what = (
        f"{promise.values} values a {'channel' if promise.per_channel else 'kernel'} are promised, "
        f"and the quantised model has {found.values} in a {found.values_in}"
    )
    by_channel = found.values_in == "channel"
    in_float = _most_values(kernel.values) if by_channel else int(np.unique(kernel.values).size)
    if promise.values is not None and in_float > promise.values:
        cause = (
            f"its float kernel has {in_float} already: the last training did not keep them, or "
            "its wrappers were not stripped"
        )
        cure = "keep them with preserve; list the layer in `layers`"
    elif _most_values(candidate.values) <= (promise.values or 0):
        cause = (
            "each channel has few: a BatchNorm was folded in between, which gives each channel a "
            "factor of its own, and the tensor has a single scale"
        )
        cure = "quantise convolutions with a scale per channel: quantise.per_channel = true"
    else:
        cause = "its float kernel has few: the scales differ within what shares values"
        cure = "quantise it with one scale, or cluster per channel: per_channel = true"
    return BuildError(f"layer {kernel.layer!r}: {what}; {cause}", cure=cure)
