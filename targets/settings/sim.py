"""The settings of the simulator in `bench.toml`: the table `[targets.sim]`."""

from __future__ import annotations

from pydantic import Field

from bench.core.schema import StrictModel

__all__ = ["SimSettings"]


class SimSettings(StrictModel):
    """How much the simulator takes on."""

    #: The largest network, as a multiple of what it takes by default: elements of a feature map,
    #: weights, blocks and work of an inference. Time and memory grow with the network.
    max_size: float = Field(default=1.0, ge=1, le=1000)
