"""What an operation can use while it is being prepared, before there is any input."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from targets.artefact.stream.operations import BlockOperation, Conv, Depthwise, FlashRange
from targets.ethos_u55.weights import SCALE_BYTES
from targets.simulator.execution.activation import Activator
from targets.simulator.execution.known_bytes import Constants
from targets.simulator.execution.memory import MemoryMap, Site
from targets.simulator.execution.output_stage import Scaling
from targets.simulator.native.kernels import Kernels
from targets.simulator.weights.decoding import decode_scales, decode_weights
from targets.simulator.weights.traversal import Traversal, traversal_of

__all__ = ["Preparation"]

Shape = tuple[int, int, int, int]
_Key = tuple[bytes, Shape, Traversal]


@dataclass
class Preparation:
    """Memory layout, accelerator and constants at the operation that is being prepared."""

    layout: MemoryMap
    macs: int
    constants: Constants
    #: Who makes machine code of inner loops; None leaves them to NumPy.
    kernels: Kernels | None = None
    #: Decoded streams by the digest of their bytes, because stripes of a layer share a stream.
    _decoded: dict[_Key, NDArray[np.int16]] = field(default_factory=dict)

    def weights(self, operation: Conv | Depthwise, shape: Shape, site: Site) -> NDArray[np.int16]:
        """The weights of `operation`, int16 `[O, H, W, I]`; do not write to them."""
        content = self._bytes(operation.weights, "weights", site)
        traversal = traversal_of(operation, self.macs)
        key = (hashlib.sha256(content.tobytes()).digest(), shape, traversal)
        if key not in self._decoded:
            self._decoded[key] = decode_weights(
                content,
                shape,
                traversal,
                word=site.word,
                operation=site.operation,
                kernels=self.kernels,
            )
        return self._decoded[key]

    def channel_scaling(self, operation: Conv | Depthwise, site: Site) -> Scaling:
        """The biases and scales of `operation`; one scale for all channels if it is global."""
        channels = operation.ofm.depth
        place = operation.scales
        table = self._bytes(
            FlashRange(place.region, place.address, SCALE_BYTES * channels), "scales", site
        )
        bias, multiplier, shift = decode_scales(
            table, channels, word=site.word, operation=site.operation
        )
        common = operation.ofm_scale
        if common is not None:
            multiplier = np.array([common.multiplier], np.int64)
            shift = np.array([common.shift], np.int64)
        return Scaling(bias, multiplier, shift, operation.rounding, operation.ofm_zero_point)

    def scaling(self, operation: BlockOperation, bias: int = 0) -> Scaling:
        """The single scale of a pool or an elementwise operation; without one, a factor of 1."""
        scale = operation.ofm_scale
        multiplier, shift = (1, 0) if scale is None else (scale.multiplier, scale.shift)
        return Scaling(
            np.array([bias], np.int64),
            np.array([multiplier], np.int64),
            np.array([shift], np.int64),
            operation.rounding,
            operation.ofm_zero_point,
        )

    def activator(self, operation: BlockOperation, site: Site) -> Activator:
        """The activation of `operation`, with the tables at this point of the stream."""
        activator = Activator(operation.activation, operation.ofm.dtype, self.constants.tables)
        activator.check(site)
        return activator

    def _bytes(self, place: FlashRange, what: str, site: Site) -> NDArray[np.uint8]:
        return np.ascontiguousarray(
            self.constants.read(place.region, place.address, place.length, what, site)
        )
