"""Models that compute what is constant: with an open batch, and with weights stored sparse."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from bench.core.arrays import Array
from tests.support.models.tflite_factory import Op, Tensor, model_bytes

__all__ = [
    "flattened",
    "shape_of_data",
    "sparse_convolution",
    "sparse_dense",
    "sparse_tensor",
    "two_open_inputs",
]

_RNG_SEED = 5


def _weights(shape: tuple[int, ...], zeros: float = 0.0) -> Array:
    rng = np.random.default_rng(_RNG_SEED)
    dense = rng.integers(-90, 90, shape).astype(np.int8)
    return np.where(rng.random(shape) < zeros, 0, dense).astype(np.int8)


def _number(name: str, *values: int) -> Tensor:
    return Tensor(name, (len(values),), "int32", data=np.array(values, np.int32))


def _slice_of_one(first: int) -> tuple[object, tuple[Tensor, ...]]:
    """STRIDED_SLICE of one element as a scalar: its options and operands."""
    options = schema.StridedSliceOptionsT()
    options.shrinkAxisMask = 1
    return options, (_number("b", first), _number("e", first + 1), _number("s", 1))


def flattened(signature: tuple[int, ...] = (-1, 4, 4, 2)) -> bytes:
    """Keras's Flatten and Dense, exported with an open batch.

    SHAPE, STRIDED_SLICE and PACK compute the shape for RESHAPE. As converters do it, its result is
    `[1, 1]` in the file, and so open that not even a kernel's shape can be seen.
    """
    options, operands = _slice_of_one(0)
    pack = schema.PackOptionsT()
    pack.valuesCount = 2
    shape = schema.ShapeOptionsT()
    shape.outType = schema.TensorType.INT32
    weights = _weights((10, 32))
    tensors = [
        Tensor("picture", (1, 4, 4, 2), "int8", 0.05, 3, signature=signature),
        *operands,
        Tensor("width", (), "int32", data=np.array(32, np.int32)),
        Tensor("shape", (4,), "int32"),
        Tensor("batch", (), "int32"),
        Tensor("wanted", (2,), "int32"),
        Tensor("flat", (1, 1), "int8", 0.05, 3, signature=(-1, -1)),
        Tensor("weights", weights.shape, "int8", 0.02, data=weights),
        Tensor("bias", (10,), "int32", 0.001, data=np.arange(10, dtype=np.int32) * 50),
        Tensor("score", (1, 10), "int8", 0.2, -4, signature=(-1, 10)),
    ]
    operators = [
        Op("SHAPE", (0,), (5,), shape),
        Op("STRIDED_SLICE", (5, 1, 2, 3), (6,), options),
        Op("PACK", (6, 4), (7,), pack),
        Op("RESHAPE", (0, 7), (8,)),
        Op("FULLY_CONNECTED", (8, 9, 10), (11,), schema.FullyConnectedOptionsT(), version=4),
    ]
    return model_bytes(tensors, operators, [0], [11])


def two_open_inputs() -> bytes:
    """Two inputs with an open batch; a state of zeros, as long as the batch, is added to them."""
    shape = schema.ShapeOptionsT()
    shape.outType = schema.TensorType.INT32
    add = schema.AddOptionsT
    open_batch = (-1, 16)
    tensors = [
        Tensor("a", (1, 16), "int8", 0.05, signature=open_batch),
        Tensor("b", (1, 16), "int8", 0.03, 7, signature=open_batch),
        Tensor("shape", (2,), "int32"),
        Tensor("zero", (), "int8", 0.05, data=np.array(0, np.int8)),
        Tensor("state", (1, 1), "int8", 0.05, signature=(-1, -1)),
        Tensor("sum", (1, 16), "int8", 0.07, 2, signature=open_batch),
        Tensor("next", (1, 16), "int8", 0.08, 2, signature=open_batch),
    ]
    operators = [
        Op("SHAPE", (1,), (2,), shape),
        Op("FILL", (2, 3), (4,), schema.FillOptionsT(), version=3),
        Op("ADD", (0, 1), (5,), add(), version=2),
        Op("ADD", (5, 4), (6,), add(), version=2),
    ]
    return model_bytes(tensors, operators, [0, 1], [6])


def shape_of_data() -> bytes:
    """An open batch, and a shape that depends on the values of the input: it is no constant."""
    shape = schema.ShapeOptionsT()
    shape.outType = schema.TensorType.INT32
    cast = schema.CastOptionsT()
    cast.inDataType, cast.outDataType = schema.TensorType.INT8, schema.TensorType.INT32
    tensors = [
        Tensor("a", (1, 4), "int8", 0.05, signature=(-1, 4)),
        Tensor("count", (1, 4), "int32", signature=(-1, 4)),
        Tensor("zero", (), "int8", 0.05, data=np.array(0, np.int8)),
        Tensor("many", (1, 1, 1, 1), "int8", 0.05, signature=(-1, -1, -1, -1)),
        Tensor("shape", (4,), "int32"),
    ]
    operators = [
        Op("CAST", (0,), (1,), cast),
        Op("FILL", (1, 2), (3,), schema.FillOptionsT(), version=3),
        Op("SHAPE", (3,), (4,), shape),
    ]
    return model_bytes(tensors, operators, [0], [4])


def sparse_tensor(name: str, dense: Array, scale: float, block: Sequence[int] = ()) -> Tensor:
    """The constant `dense`, of which only values or blocks that are not 0 are stored.

    Its last dimension is compressed. `block` has the size of a block in each dimension.
    """
    sizes = tuple(block) or (1,) * dense.ndim
    split = [n for size, b in zip(dense.shape, sizes, strict=True) for n in (size // b, b)]
    order = (*range(0, 2 * dense.ndim, 2), *range(1, 2 * dense.ndim, 2))
    blocks = dense.reshape(split).transpose(order)
    outer = blocks.shape[: dense.ndim]
    rows = blocks.reshape(int(np.prod(outer[:-1])), outer[-1], -1)
    kept = rows.any(axis=2)
    sparsity = schema.SparsityParametersT()
    sparsity.traversalOrder = list(range(dense.ndim * (2 if block else 1)))
    sparsity.blockMap = list(range(dense.ndim)) if block else []
    sparsity.dimMetadata = [_dense(size) for size in outer[:-1]]
    sparsity.dimMetadata.append(_compressed(kept))
    sparsity.dimMetadata += [_dense(size) for size in block]
    return Tensor(
        name, dense.shape, dense.dtype.name, scale, data=rows[kept].reshape(-1), sparsity=sparsity
    )


def _dense(size: int) -> object:
    dimension = schema.DimensionMetadataT()
    dimension.format, dimension.denseSize = schema.DimensionType.DENSE, size
    return dimension


def _compressed(kept: Array) -> object:
    dimension = schema.DimensionMetadataT()
    dimension.format = schema.DimensionType.SPARSE_CSR
    segments, indices = schema.Int32VectorT(), schema.Int32VectorT()
    segments.values = [0, *np.cumsum(kept.sum(axis=1)).tolist()]
    indices.values = np.nonzero(kept)[1].tolist()
    dimension.arraySegmentsType = schema.SparseIndexVector.Int32Vector
    dimension.arraySegments = segments
    dimension.arrayIndicesType = schema.SparseIndexVector.Int32Vector
    dimension.arrayIndices = indices
    return dimension


def _sparse_weights(shape: tuple[int, ...], block: Sequence[int]) -> Array:
    """Weights that are 0 in most blocks."""
    if not block:
        return _weights(shape, 0.8)
    rng = np.random.default_rng(_RNG_SEED)
    blocks = [size // b for size, b in zip(shape, block, strict=True)]
    kept = np.kron(rng.random(blocks) < 0.3, np.ones(tuple(block), bool))
    return np.where(kept, _weights(shape), 0).astype(np.int8)


def sparse_dense(block: Sequence[int] = (), *, densify: bool = True) -> tuple[bytes, Array]:
    """FULLY_CONNECTED with weights stored sparse, and these weights as they are meant.

    Without `densify` the kernel reads them as they are stored.
    """
    dense = _sparse_weights((16, 32), block)
    tensors = [
        Tensor("x", (1, 32), "int8", 0.05, 3),
        sparse_tensor("stored", dense, 0.02, block),
        Tensor("weights", dense.shape, "int8", 0.02),
        Tensor("bias", (16,), "int32", 0.001, data=np.arange(16, dtype=np.int32) * 50),
        Tensor("y", (1, 16), "int8", 0.2, -4),
    ]
    options = schema.FullyConnectedOptionsT
    layer = Op("FULLY_CONNECTED", (0, 2 if densify else 1, 3), (4,), options(), version=4)
    spread = [Op("DENSIFY", (1,), (2,), schema.DensifyOptionsT())] if densify else []
    return model_bytes(tensors, [*spread, layer], [0], [4]), dense


def sparse_convolution() -> tuple[bytes, Array]:
    """CONV_2D with weights stored sparse, and these weights as they are meant."""
    dense = _sparse_weights((8, 3, 3, 8), ())
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    tensors = [
        Tensor("x", (1, 6, 6, 8), "int8", 0.05, 3),
        sparse_tensor("stored", dense, 0.02),
        Tensor("weights", dense.shape, "int8", (0.02,) * 8),
        Tensor("bias", (8,), "int32", (0.001,) * 8, data=np.arange(8, dtype=np.int32) * 50),
        Tensor("y", (1, 6, 6, 8), "int8", 0.2, -4),
    ]
    operators = [
        Op("DENSIFY", (1,), (2,), schema.DensifyOptionsT()),
        Op("CONV_2D", (0, 2, 3), (4,), options, version=3),
    ]
    return model_bytes(tensors, operators, [0], [4]), dense
