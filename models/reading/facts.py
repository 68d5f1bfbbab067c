"""What is known of a workload's network and data before anything is trained. No TensorFlow."""

from __future__ import annotations

import hashlib

from bench.core.schema import StrictModel
from models.reading.splits import InputSpec
from models.reading.storing import SplitFacts

__all__ = ["DataFacts", "LayerFacts", "ModelFacts"]


class LayerFacts(StrictModel):
    """A layer of a Keras model."""

    name: str
    #: Of its class.
    kind: str
    #: Of its kernel; empty if it has none.
    kernel: tuple[int, ...] = ()


class ModelFacts(StrictModel):
    """What is known of a Keras model without data."""

    name: str
    inputs: tuple[InputSpec, ...]
    #: Shapes of the outputs, without the batch dimension.
    outputs: tuple[tuple[int | None, ...], ...]
    layers: tuple[LayerFacts, ...]
    #: The layers that are compressed if nothing else is said.
    compressed_layers: tuple[str, ...]
    #: The loss, in words.
    loss: str
    epochs_for: int | None


class DataFacts(StrictModel):
    """The splits of a recipe's data, by name."""

    splits: dict[str, SplitFacts]

    @property
    def training_sha256(self) -> str:
        """The sha256 of what models are made from: the splits to train and to calibrate with."""
        digests = [self.splits[name].sha256 for name in ("train", "calibration")]
        return hashlib.sha256("".join(digests).encode()).hexdigest()
