"""Operators that move elements about: no arithmetic, the quantisation stays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.operators.network import Network, Value

__all__ = [
    "concatenate",
    "mirror_pad",
    "pack",
    "pad",
    "reshape",
    "resize",
    "slice_",
    "split",
    "split_v",
    "strided_slice",
    "transpose",
    "unpack",
]


def concatenate(network: Network, values: Sequence[Value], axis: int) -> Value:
    """CONCATENATION; TFLite's kernels want one quantisation for all."""
    options = schema.ConcatenationOptionsT()
    options.axis = axis
    options.fusedActivationFunction = schema.ActivationFunctionType.NONE
    shape = list(values[0].shape)
    shape[axis] = sum(value.shape[axis] for value in values)
    return _moved(network, "CONCATENATION", values, shape, values[0], options)


def split(network: Network, value: Value, axis: int, parts: int) -> tuple[Value, ...]:
    """SPLIT into equal parts."""
    options = schema.SplitOptionsT()
    options.numSplits = parts
    shape = list(value.shape)
    shape[axis] //= parts
    inputs = [network.constant(np.array(axis, np.int32)), value]
    return network.apply_many(
        "SPLIT", inputs, [shape] * parts, value.dtype, value.quantisation, options, 2
    )


def split_v(network: Network, value: Value, axis: int, sizes: Sequence[int]) -> tuple[Value, ...]:
    """SPLIT_V into parts of the given sizes."""
    options = schema.SplitVOptionsT()
    options.numSplits = len(sizes)
    shapes = []
    for size in sizes:
        shape = list(value.shape)
        shape[axis] = size
        shapes.append(shape)
    inputs = [value, network.integers(*sizes), network.constant(np.array(axis, np.int32))]
    return network.apply_many(
        "SPLIT_V", inputs, shapes, value.dtype, value.quantisation, options, 2
    )


def slice_(network: Network, value: Value, begin: Sequence[int], size: Sequence[int]) -> Value:
    """SLICE; every size given."""
    inputs = [value, network.integers(*begin), network.integers(*size)]
    return _moved(network, "SLICE", inputs, size, value, schema.SliceOptionsT(), 3)


def strided_slice(
    network: Network,
    value: Value,
    begin: Sequence[int],
    end: Sequence[int],
    strides: Sequence[int],
) -> Value:
    """STRIDED_SLICE without masks."""
    options = schema.StridedSliceOptionsT()
    shape = [
        -(-(stop - start) // step) for start, stop, step in zip(begin, end, strides, strict=True)
    ]
    inputs = [value, *(network.integers(*values) for values in (begin, end, strides))]
    return _moved(network, "STRIDED_SLICE", inputs, shape, value, options, 4)


def pad(
    network: Network,
    value: Value,
    paddings: Sequence[tuple[int, int]],
    *,
    constant: int | None = None,
) -> Value:
    """PAD with the zero point, or PADV2 with `constant` (a quantised value)."""
    amounts = network.constant(np.array(paddings, np.int32))
    shape = [
        size + before + after for size, (before, after) in zip(value.shape, paddings, strict=True)
    ]
    if constant is None:
        return _moved(network, "PAD", [value, amounts], shape, value, schema.PadOptionsT(), 2)
    filling = network.constant(np.array([constant], value.dtype), value.scale, value.zero_point)
    inputs = [value, amounts, filling]
    return _moved(network, "PADV2", inputs, shape, value, schema.PadV2OptionsT(), 2)


def mirror_pad(
    network: Network, value: Value, paddings: Sequence[tuple[int, int]], mode: str
) -> Value:
    """MIRROR_PAD, mode `REFLECT` or `SYMMETRIC`."""
    options = schema.MirrorPadOptionsT()
    options.mode = getattr(schema.MirrorPadMode, mode)
    amounts = network.constant(np.array(paddings, np.int32))
    shape = [
        size + before + after for size, (before, after) in zip(value.shape, paddings, strict=True)
    ]
    return _moved(network, "MIRROR_PAD", [value, amounts], shape, value, options, 2)


def pack(network: Network, values: Sequence[Value], axis: int) -> Value:
    """PACK along a new axis."""
    options = schema.PackOptionsT()
    options.axis = axis
    options.valuesCount = len(values)
    shape = list(values[0].shape)
    shape.insert(axis, len(values))
    return _moved(network, "PACK", values, shape, values[0], options, 2)


def unpack(network: Network, value: Value, axis: int) -> tuple[Value, ...]:
    """UNPACK along an axis."""
    options = schema.UnpackOptionsT()
    options.axis = axis
    options.num = value.shape[axis]
    shape = list(value.shape)
    del shape[axis]
    return network.apply_many(
        "UNPACK",
        [value],
        [shape] * value.shape[axis],
        value.dtype,
        value.quantisation,
        options,
        2,
    )


def reshape(network: Network, value: Value, shape: Sequence[int]) -> Value:
    """RESHAPE."""
    options = schema.ReshapeOptionsT()
    options.newShape = list(shape)
    inputs = [value, network.integers(*shape)]
    return _moved(network, "RESHAPE", inputs, shape, value, options)


def transpose(network: Network, value: Value, permutation: Sequence[int]) -> Value:
    """TRANSPOSE."""
    shape = [value.shape[axis] for axis in permutation]
    inputs = [value, network.integers(*permutation)]
    return _moved(network, "TRANSPOSE", inputs, shape, value, schema.TransposeOptionsT(), 2)


def resize(
    network: Network,
    value: Value,
    size: tuple[int, int],
    *,
    bilinear: bool,
    align_corners: bool = False,
    half_pixel: bool = False,
) -> Value:
    """RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR to `size` (height, width)."""
    builtin, options = (
        ("RESIZE_BILINEAR", schema.ResizeBilinearOptionsT())
        if bilinear
        else ("RESIZE_NEAREST_NEIGHBOR", schema.ResizeNearestNeighborOptionsT())
    )
    options.alignCorners = align_corners
    options.halfPixelCenters = half_pixel
    shape = (value.shape[0], *size, value.shape[3])
    inputs = [value, network.integers(*size)]
    return _moved(network, builtin, inputs, shape, value, options, 3)


def _moved(
    network: Network,
    builtin: str,
    inputs: Sequence[Value],
    shape: Sequence[int],
    like: Value,
    options: object,
    version: int = 1,
) -> Value:
    return network.apply(builtin, inputs, shape, like.dtype, like.quantisation, options, version)
