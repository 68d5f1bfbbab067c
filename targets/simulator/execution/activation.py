"""What is done to a scaled value before it is stored: clamp, table look-up, tanh and sigmoid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from targets.artefact.stream.operations import Activation, ActivationFunction, DataType
from targets.ethos_u55.shram import LUT_BYTES, LUT_SLOT_BYTES
from targets.simulator.execution.memory import Bytes, Site

__all__ = ["Activator"]

Ints = NDArray[np.int64]

_INT16 = np.iinfo(np.int16)
_INT32 = np.iinfo(np.int32)

#: The interpolating 16-bit table: one entry per 128 input values.
_SEGMENT_BITS = 7
_SEGMENTS = 512


@dataclass(frozen=True)
class Activator:
    """An operation's activation with the table that it will find in SHRAM.

    `table` is uint8 `[LUT_BYTES]` and used only for a LOOKUP. The type to which values are clamped
    indexes it: 16 bits mean interpolation, 8 bits an entry of the OFM's type.
    """

    activation: Activation
    ofm: DataType
    table: Bytes

    def check(self, site: Site) -> None:
        """Raise `StreamError` for a combination that the NPU does not have."""
        activation = self.activation
        if activation.function is ActivationFunction.LOOKUP:
            start = activation.lut_index * LUT_SLOT_BYTES
            if start + self._table_bytes > LUT_BYTES:
                raise site.error(
                    f"look-up table {activation.lut_index} of {self._table_bytes} bytes reaches "
                    f"beyond the {LUT_BYTES} bytes of the table area"
                )
        elif activation.function is not ActivationFunction.NONE and self.ofm is not DataType.INT16:
            raise site.error(f"{activation.function.value} of an output of {self.ofm.value}")

    @property
    def clamp(self) -> tuple[int, int] | None:
        """Smallest and largest value before the function; None if nothing is clamped.

        ACTIVATION_MIN and _MAX have 16 bits. They limit a 32-bit output only if a type is forced;
        otherwise it saturates.
        """
        activation = self.activation
        if activation.function in (ActivationFunction.TANH, ActivationFunction.SIGMOID):
            return None
        if self.ofm is DataType.INT32 and activation.clip is None:
            return None
        return activation.minimum, activation.maximum

    def __call__(self, values: Ints) -> Ints:
        """Clamp `values` (zero point added; int64, any shape) and apply the function."""
        limits = self.clamp
        if limits is not None:
            values = np.minimum(np.maximum(values, limits[0]), limits[1])
        elif self.ofm is DataType.INT32:
            # Vela's older compiler core doubles a reciprocal of 2^30 and more. TFLite-Micro
            # saturates there, so the NPU must do so too.
            values = np.minimum(np.maximum(values, _INT32.min), _INT32.max)
        function = self.activation.function
        if function is ActivationFunction.LOOKUP:
            return self._look_up(values)
        if function is ActivationFunction.NONE:
            return values
        result = _tanh(values) if function is ActivationFunction.TANH else _sigmoid(values)
        # These two are clamped afterwards: regor's LSTM limits a sigmoid's result this way.
        return np.asarray(np.clip(result, self.activation.minimum, self.activation.maximum))

    @property
    def _interpolates(self) -> bool:
        clip = self.activation.clip or self.ofm
        return clip.bytes > 1

    @property
    def _table_bytes(self) -> int:
        if self._interpolates:
            return 4 * _SEGMENTS
        return 256 * self.ofm.bytes

    def _look_up(self, values: Ints) -> Ints:
        start = self.activation.lut_index * LUT_SLOT_BYTES
        content = self.table[start : start + self._table_bytes]
        if self._interpolates:
            pairs = content.view("<i2").reshape(_SEGMENTS, 2).astype(np.int64)
            offset = values - _INT16.min
            index = (offset >> _SEGMENT_BITS) & (_SEGMENTS - 1)
            fraction = offset & ((1 << _SEGMENT_BITS) - 1)
            step = pairs[index, 1] * fraction + (1 << (_SEGMENT_BITS - 1))
            line = pairs[index, 0] + (step >> _SEGMENT_BITS)
            return np.asarray(np.clip(line, _INT16.min, _INT16.max))
        signed = (self.activation.clip or self.ofm).signed
        entries = content.view(np.dtype(self.ofm.value).newbyteorder("<"))
        return np.asarray(entries[(values + 128 * signed) & 0xFF].astype(np.int64))


#: Entries of the sigmoid table that are one above the rounded function, so that the straight line
#: between two entries fits the curve better.
_RAISED = [
    *(4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40),
    *(41, 43, 44, 45, 46, 49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255),
]
_TABLE_END = 255


@cache
def _sigmoid_table() -> Ints:
    """sigmoid(i / 24) in 1/65536, int64 `[257]`: TensorFlow Lite's `sigmoid_table_uint16`.

    The last entry is repeated because the saturated index needs a successor.
    """
    table = np.rint(65536 / (1 + np.exp(-np.arange(_TABLE_END + 1) / 24))).astype(np.int64)
    table[_RAISED] += 1
    return np.append(table, table[-1])


def _interpolate(magnitude: Ints, bits: int, saturated: int) -> Ints:
    """The table's line at `magnitude`, whose low `bits` bits are the fraction; scaled 2^bits."""
    index = magnitude >> bits
    inside = np.minimum(index, _TABLE_END)
    table = _sigmoid_table()
    line = (table[inside] << bits) + (magnitude & ((1 << bits) - 1)) * (
        table[inside + 1] - table[inside]
    )
    return np.where(index >= _TABLE_END, saturated << bits, line)


def _sigmoid(values: Ints) -> Ints:
    """Sigmoid in 1/32768 of `values` in 1/(3 * 4096), like TensorFlow Lite's 16-bit kernel."""
    line = _interpolate(np.abs(values), 9, 0x7FFF << 1)
    half = 1 << 9
    return np.where(values >= 0, line + half, (1 << 25) - line + half - 1) >> 10


def _tanh(values: Ints) -> Ints:
    """tanh(x) = 2 sigmoid(2 x) - 1 in 1/32768, otherwise like `_sigmoid`."""
    line = _interpolate(np.abs(values), 8, 0xFFFF)
    one, half = 1 << 23, 1 << 7
    return np.where(values >= 0, line - one + half, one - line + half - 1) >> 8
