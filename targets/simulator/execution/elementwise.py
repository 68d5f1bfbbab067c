"""ELEMENTWISE: ten modes on one or two operands.

ADD and SUB first bring their operands to a common scale. With `BOTH_16BIT`, each is multiplied by a
small factor. With `A_32BIT` (or `B_32BIT`), one operand is shifted left by 20 bits (15 for 16-bit
elements) and scaled by OPA_SCALE with double rounding. The other, which has twice its share of the
common scale, is shifted left by one bit less. This is TensorFlow Lite's quantised addition. A
32-bit MUL uses only the shift of OFM_SCALE. All were verified by running compiled models and
comparing with TFLite-Micro.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.core.arrays import Array
from targets.artefact.stream.operations import (
    DataType,
    Elementwise,
    ElementwiseMode,
    FeatureMap,
    OperandScaling,
    Rounding,
    Scale,
    Upscale,
)
from targets.simulator.execution.arithmetic import scale, wrap_int32
from targets.simulator.execution.byte_table import ByteTable
from targets.simulator.execution.feature_maps import FeatureMapPort
from targets.simulator.execution.memory import Memory, Site
from targets.simulator.execution.native_pair import NativePair
from targets.simulator.execution.output_stage import OutputStage
from targets.simulator.execution.preparation import Preparation

__all__ = ["elementwise"]

Ints = NDArray[np.int64]
#: First and second operand as stored -> what the OFM stores.
_Compute = Callable[[Array, Array | None], Array]

#: How many bits an operand is shifted left before its 32-bit scale, by element size.
_OPERAND_SHIFT = {1: 20, 2: 15}
_MAX_SHIFT = 63

_ADDITIVE = (ElementwiseMode.ADD, ElementwiseMode.SUB)


def elementwise(
    operation: Elementwise, preparation: Preparation, site: Site
) -> ElementwiseOperation | NativePair:
    """A prepared ELEMENTWISE."""
    step = ElementwiseOperation(operation, preparation, site)
    return step.native(preparation) or step


class ElementwiseOperation:
    """An ELEMENTWISE by NumPy."""

    def __init__(self, operation: Elementwise, preparation: Preparation, site: Site) -> None:
        self._operation = operation
        layout = preparation.layout
        if operation.upscale is not Upscale.NONE:
            raise site.error("an elementwise operation with an upscaled IFM is not supported")
        self._first = FeatureMapPort(operation.ifm, layout, site, writing=False)
        self._second = (
            None
            if operation.ifm2 is None
            else FeatureMapPort(operation.ifm2, layout, site, writing=False)
        )
        self._output = FeatureMapPort(operation.ofm, layout, site, writing=True)
        scaling = preparation.scaling(operation)
        if operation.mode is ElementwiseMode.MUL and operation.ifm.dtype is DataType.INT32:
            # The product fills the multiplier's width, and only the shift is applied.
            scaling = replace(scaling, multiplier=np.ones(1, np.int64))
        #: Exact for any operands; the faster ways are made from it.
        self._exact = OutputStage(scaling, preparation.activator(operation, site), bound=1 << 62)
        self._run = self._choose(preparation, site)
        ofm = operation.ofm
        #: Bytes a row of the batch needs while this runs.
        self.workspace = 48 * ofm.height * ofm.width * ofm.depth

    def native(self, preparation: Preparation) -> NativePair | None:
        """Machine code for two feature maps of bytes; None if NumPy must do it."""
        if self._second is None:
            return None
        ports = (self._first, self._second, self._output)
        return NativePair.of(ports, self._run, preparation.layout, preparation.kernels)

    def run(self, memory: Memory) -> None:
        """Read, combine, scale and store, for all rows of the batch."""
        first = self._first.read(memory)
        second = None if self._second is None else self._second.read(memory)
        self._output.write(memory, self._run(first, second))

    def _choose(self, preparation: Preparation, site: Site) -> _Compute:
        """The fastest exact way to compute this operation."""
        operation = self._operation
        if operation.ifm.dtype.bytes > 1:
            return self._any
        if operation.ifm2 is None:
            table = ByteTable(lambda values: self._any(values, None), self._first.dtype)
            return lambda first, _: table(first)
        if operation.mode in (*_ADDITIVE, ElementwiseMode.MUL):
            return self._pair(operation.ifm2, preparation, site)
        return self._any

    def _pair(self, ifm2: FeatureMap, preparation: Preparation, site: Site) -> _Compute:
        """ADD, SUB and MUL of bytes: a table for each operand, then one addition or product."""
        operation = self._operation
        first_is_a = not operation.reverse_operands
        sides = [
            _byte_values(operation.ifm, self._operand_a if first_is_a else self._operand_b),
            _byte_values(ifm2, self._operand_b if first_is_a else self._operand_a),
        ]
        greatest = [int(np.abs(side).max()) for side in sides]
        multiply = operation.mode is ElementwiseMode.MUL
        bound = greatest[0] * greatest[1] if multiply else sum(greatest)
        if operation.mode is ElementwiseMode.SUB:
            # Addition of the negated operand B.
            sides[1 if first_is_a else 0] *= -1
        stage = OutputStage(
            preparation.scaling(operation), preparation.activator(operation, site), bound
        )
        # Sums and products of these are far below 2^53.
        tables = [side.astype(np.float64) for side in sides]

        def run(first: Array, second: Array | None) -> Array:
            assert second is not None
            a, b = tables[0][first.view(np.uint8)], tables[1][second.view(np.uint8)]
            return stage(a * b if multiply else a + b)

        return run

    def _any(self, first: Array, second: Array | None) -> Array:
        """Any mode on any types, in int64."""
        operation = self._operation
        x = first.astype(np.int64) - operation.ifm.zero_point
        if operation.mode.unary:
            return self._unary(x)
        if second is not None and operation.ifm2 is not None:
            y = second.astype(np.int64) - operation.ifm2.zero_point
        else:
            y = np.full((1,) * x.ndim, operation.scalar, np.int64)
        a, b = (y, x) if operation.reverse_operands else (x, y)
        if operation.mode in _ADDITIVE:
            a, b = self._operand_a(a), self._operand_b(b)
        return self._exact(_combine(operation, a, b))

    def _unary(self, x: Ints) -> Array:
        mode = self._operation.mode
        if mode is ElementwiseMode.ABS:
            return self._exact(np.abs(x))
        if mode is ElementwiseMode.LRELU:
            # Only negative values are scaled.
            return np.where(x < 0, self._exact(x), self._exact.unscaled(x))
        return self._exact(_leading_zeros(x))

    def _operand_a(self, values: Ints) -> Ints:
        operation = self._operation
        return _scale_operand(
            values,
            operation,
            operation.scaling is OperandScaling.A_32BIT,
            operation.opa_scale.multiplier,
        )

    def _operand_b(self, values: Ints) -> Ints:
        operation = self._operation
        return _scale_operand(
            values, operation, operation.scaling is OperandScaling.B_32BIT, operation.opb_scale
        )


def _scale_operand(values: Ints, operation: Elementwise, precise: bool, factor: int) -> Ints:
    """One operand of ADD or SUB in the common scale; other modes and int32 use it unchanged."""
    size = operation.ifm.dtype.bytes
    if operation.mode not in _ADDITIVE or size not in _OPERAND_SHIFT:
        return values
    if operation.scaling is OperandScaling.BOTH_16BIT:
        return values * factor
    shift = _OPERAND_SHIFT[size]
    if not precise:
        return values << (shift - 1)
    # OPA_SCALE belongs to the precise operand, A or B.
    opa: Scale = operation.opa_scale
    right = min(opa.shift + shift, _MAX_SHIFT)
    return scale(values << shift, opa.multiplier, right, Rounding.TFL)


def _combine(operation: Elementwise, a: Ints, b: Ints) -> Ints:
    """The two operands of a binary mode."""
    mode = operation.mode
    if mode is ElementwiseMode.ADD:
        return np.asarray(a + b)
    if mode is ElementwiseMode.SUB:
        return np.asarray(a - b)
    if mode is ElementwiseMode.MUL:
        return np.asarray(a * b)
    if mode is ElementwiseMode.MIN:
        return np.minimum(a, b)
    if mode is ElementwiseMode.MAX:
        return np.maximum(a, b)
    # If b is not a valid shift, NumPy gives 0, or -1 for a right shift of a negative number.
    if mode is ElementwiseMode.SHL:
        return wrap_int32(a << b)
    half = np.where(b > 0, np.int64(1) << (b - 1), 0) if _rounds(operation) else np.int64(0)
    return np.asarray((a + half) >> b)


def _rounds(operation: Elementwise) -> bool:
    return operation.rounding is Rounding.NATURAL


def _leading_zeros(values: Ints) -> Ints:
    """Zero bits above the highest set bit of a 32-bit number."""
    unsigned = (values & 0xFFFFFFFF).astype(np.float64)
    # frexp's exponent of 0 is 0, and of 2^k it is k + 1.
    return 32 - np.frexp(unsigned)[1].astype(np.int64)


def _byte_values(fm: FeatureMap, function: Callable[[Ints], Ints]) -> Ints:
    """`function` of every value of an 8-bit feature map minus its zero point, by stored byte."""
    assert fm.dtype in (DataType.INT8, DataType.UINT8)
    values = np.arange(256, dtype=np.uint8).view(fm.dtype.value).astype(np.int64)
    return function(values - fm.zero_point)
