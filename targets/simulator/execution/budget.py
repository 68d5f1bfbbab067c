"""What one inference may cost: bounds that make every stream end soon and use little memory.

Registers can ask for far more than any memory holds: with strides of 0, 65536^3 elements fit into
one byte, and a single word of the stream repeats the request. So the cost of each operation is
computed from its parameters alone, before anything is allocated for it. The bounds are well above
what most networks for this NPU need, and low enough for a small machine. A caller may multiply
them, for a larger network.
"""

from __future__ import annotations

from math import prod

from targets.artefact.stream.operations import (
    BlockOperation,
    Conv,
    Depthwise,
    Dma,
    Elementwise,
    FeatureMap,
    Operation,
    Pool,
)
from targets.ethos_u55.tensors import BRICK_CHANNELS
from targets.simulator.execution.memory import Site
from targets.simulator.traffic.blocks import block_grid
from targets.simulator.weights.traversal import stream_length, traversal_of, traversal_problem

__all__ = ["Budget"]

#: Elements of a feature map, including padding. The SRAM of a device holds fewer.
_MAX_ELEMENTS = 1 << 24
#: Bytes that one operation on one row may need in addition to its memory.
_MAX_WORKSPACE = 768 << 20
#: Time for one inference, in multiplications of a matrix product (about 20 per nanosecond).
_MAX_WORK = 1 << 35
#: Weights of one operation and of a stream, including the padding in their order. Each output
#: channel counts as `_CHANNEL` weights, because that many steps of its scaling are checked.
_MAX_OPERATION_WEIGHTS = 1 << 24
_MAX_WEIGHTS = 1 << 26
_CHANNEL = 256
#: Entries of an array while the traffic of one operation, or of all operations, is counted.
_MAX_OPERATION_PARTS = 1 << 22
_MAX_PARTS = 1 << 24
#: Blocks of a stream, which the cycle model processes one by one (about 10 us each). The largest
#: network of MLPerf Tiny has 430 at 32 MACs.
_MAX_BLOCKS = 1 << 19

# Rough measurements, in the unit of `_MAX_WORK`. An operation's own cost is far below that of its
# preparation, which happens once for all inferences (a few ms); it bounds their number to 2^14.
_OPERATION_WORK = 1 << 21
_COPY_WORK = 16
_REDUCE_WORK = 32
_SCALE_WORK = 128
_ELEMENTWISE_WORK = 512
_DMA_WORK = 4

_WORK, _WEIGHTS, _BLOCKS = "units of work", "weights", "blocks"
_PARTS, _MEMORY = "parts to be moved one by one", "bytes of memory"
#: What all operations of a stream may take together.
_LIMITS = {_WORK: _MAX_WORK, _WEIGHTS: _MAX_WEIGHTS, _PARTS: _MAX_PARTS, _BLOCKS: _MAX_BLOCKS}

#: Bytes of all temporary arrays for one element of a large feature map.
_POOL_BYTES = 16
_ELEMENTWISE_BYTES = 48
_FLOAT_BYTES = 4


class Budget:
    """What is left for the operations of one stream."""

    def __init__(self, macs: int, max_size: float = 1.0) -> None:
        """All bounds are multiplied by `max_size`."""
        self._macs = macs
        self._size = max_size
        self._cure = (
            "if the model is intact, allow a larger one: max_size under [targets.sim] in the "
            f"configuration is {max_size:g}; time and memory grow with it"
        )
        self._left = {what: int(max_size * limit) for what, limit in _LIMITS.items()}

    def spend(self, operation: Operation, site: Site) -> None:
        """Add the cost of `operation`. Raises `StreamError` if it or the stream costs too much."""
        work = parts = blocks = 0
        if isinstance(operation, Dma):
            rows = operation.size0 * operation.size1
            work = _OPERATION_WORK + rows * operation.length * _DMA_WORK
            strided = operation.source_strided or operation.destination_strided
            parts = rows if strided else 0
        elif isinstance(operation, BlockOperation):
            self._check_sizes(operation, site)
            work = _OPERATION_WORK + _work(operation)
            parts = _parts(operation)
            blocks = block_grid(operation).count
        self._check(parts, _MAX_OPERATION_PARTS, _PARTS, site)
        self._take(_WORK, work, site)
        self._take(_PARTS, parts, site)
        self._take(_BLOCKS, blocks, site)
        if isinstance(operation, Conv | Depthwise):
            weights = self._stream_weights(operation)
            self._check(weights, _MAX_OPERATION_WEIGHTS, _WEIGHTS, site)
            self._take(_WEIGHTS, weights + _CHANNEL * operation.ofm.depth, site)

    def _take(self, what: str, amount: int, site: Site) -> None:
        """Take `amount` from what the stream may have."""
        self._left[what] -= amount
        limit = int(self._size * _LIMITS[what])
        if self._left[what] < 0:
            raise site.error(
                f"the stream up to here takes {limit - self._left[what]} {what}; "
                f"at most {limit} are simulated for one inference",
                cure=self._cure,
            )

    def _check(self, amount: int, bound: int, what: str, site: Site) -> None:
        """Check what one operation takes."""
        limit = int(self._size * bound)
        if amount > limit:
            raise site.error(
                f"the operation takes {amount} {what}; at most {limit} are simulated",
                cure=self._cure,
            )

    def _check_sizes(self, operation: BlockOperation, site: Site) -> None:
        feature_maps = [prod(_windowed(operation)), _elements(operation.ofm)]
        self._check(max(feature_maps), _MAX_ELEMENTS, "elements of one feature map", site)
        self._check(_workspace(operation, sum(feature_maps)), _MAX_WORKSPACE, _MEMORY, site)

    def _stream_weights(self, operation: Conv | Depthwise) -> int:
        inputs = operation.ifm.depth if isinstance(operation, Conv) else 1
        kernel = operation.kernel
        shape = (operation.ofm.depth, kernel.height, kernel.width, inputs)
        traversal = traversal_of(operation, self._macs)
        # Shapes for which the NPU has no order are refused when the weights are read.
        known = traversal_problem(shape, traversal) is None
        return stream_length(shape, traversal) if known else 0


def _workspace(operation: BlockOperation, feature_maps: int) -> int:
    """Bytes that the operation needs in addition to its memory, on one row."""
    kernel, ofm = operation.kernel, operation.ofm
    workspace = feature_maps
    if isinstance(operation, Conv):
        # Windows are copied for at least one row of the OFM.
        columns = kernel.height * kernel.width * operation.ifm.depth
        workspace += 2 * _FLOAT_BYTES * ofm.width * (columns + 2 * ofm.depth)
    elif isinstance(operation, Pool):
        workspace += _POOL_BYTES * ofm.height * ofm.width * operation.ifm.depth
    elif isinstance(operation, Elementwise):
        workspace += _ELEMENTWISE_BYTES * _elements(ofm)
    return workspace


def _work(operation: BlockOperation) -> int:
    ifm, ofm, kernel = operation.ifm, operation.ofm, operation.kernel
    outputs = _elements(ofm)
    work = prod(_windowed(operation)) * _COPY_WORK + outputs * _SCALE_WORK
    # Bytes whose old content is forgotten.
    work += ofm.height * abs(ofm.stride_y) + ofm.width * abs(ofm.stride_x)
    windows = ofm.height * ofm.width * kernel.height * kernel.width * ifm.depth
    if isinstance(operation, Conv):
        return work + windows * (_COPY_WORK + ofm.depth)
    if isinstance(operation, Elementwise):
        return work + outputs * _ELEMENTWISE_WORK
    return work + windows * _REDUCE_WORK


def _parts(operation: BlockOperation) -> int:
    """At least as many as the entries of any array of `blocks` and `axi_runs`."""
    ofm, kernel, block = operation.ofm, operation.kernel, operation.block
    sub_rows, sub_columns = kernel.sub_kernels
    rows = -(-ofm.height // block.height) * sub_rows
    columns = -(-ofm.width // block.width) * sub_columns
    depths = -(-ofm.depth // block.depth)
    second = operation.ifm2 if isinstance(operation, Elementwise) else None
    feature_maps = [operation.ifm, ofm, *([] if second is None else [second])]
    return max(
        max(fm.height, rows) * max(fm.width, columns) * (-(-fm.depth // BRICK_CHANNELS) + depths)
        for fm in feature_maps
    )


def _windowed(operation: BlockOperation) -> tuple[int, int, int]:
    """Height, width and depth of the IFM as the kernel sees it: upscaled and padded."""
    ofm = operation.ofm
    return (*operation.kernel.covered(ofm.height, ofm.width), operation.ifm.depth)


def _elements(fm: FeatureMap) -> int:
    return fm.height * fm.width * fm.depth
