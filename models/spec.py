"""What `bench.toml` says of a built-in workload's variants. Data and checks, no TensorFlow.

Epochs are stated for the full MNIST training set of 60,000 images, as Arm's recipe states them;
`models.schedule` turns them into the epochs to run on the data at hand.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bench.core.schema import StrictModel

__all__ = [
    "ClusterSpec",
    "PruneSpec",
    "QuantiseSpec",
    "TrainSpec",
    "VariantSpec",
]

#: Epochs on full MNIST. Fractions are for data sets that are smaller: an epoch is never cut.
Epochs = Annotated[float, Field(gt=0, le=1000)]
BatchSize = Annotated[int, Field(ge=1, le=60_000)]
LearningRate = Annotated[float, Field(gt=0, le=1)]
Sparsity = Annotated[float, Field(gt=0, lt=1)]
#: The share of the training images, taken from their end, that is kept from the optimiser.
ValidationSplit = Annotated[float, Field(ge=0, lt=1)]


#: `cosine` lets the learning rate fall to 0 over the training, for networks whose accuracy would
#: otherwise depend on the last few batches.
Decay = Literal["constant", "cosine"]


class TrainSpec(StrictModel):
    """Train from scratch with Adam. The defaults are those of Arm's MNIST recipe."""

    method: Literal["train"] = "train"
    epochs: Epochs
    batch_size: BatchSize = 32
    learning_rate: LearningRate = 1e-3
    decay: Decay = "constant"
    validation_split: ValidationSplit = 0.1


class PruneSpec(StrictModel):
    """Fine-tune `parent` while its smallest weights are set to zero and kept there.

    The sparsity rises from `initial_sparsity` at the first step to `final_sparsity` at the last,
    by tfmot's `PolynomialDecay` (power 3).
    """

    method: Literal["prune"] = "prune"
    parent: str = "base"
    initial_sparsity: Sparsity = 0.5
    final_sparsity: Sparsity = 0.8
    epochs: Epochs = 2.0
    batch_size: BatchSize = 128
    learning_rate: LearningRate = 1e-3
    decay: Decay = "constant"
    validation_split: ValidationSplit = 0.1

    @model_validator(mode="after")
    def _sparsity_does_not_fall(self) -> PruneSpec:
        if self.final_sparsity < self.initial_sparsity:
            raise ValueError(
                f"final_sparsity {self.final_sparsity} is below initial_sparsity "
                f"{self.initial_sparsity}: pruned weights do not come back, so raise the one or "
                "lower the other"
            )
        return self


class ClusterSpec(StrictModel):
    """Fine-tune `parent` while every kernel is held to `clusters` shared values.

    The int8 kernel of a fully-connected layer keeps them, given one scale for the whole kernel
    (see `QuantiseSpec`). That of a convolution does not: TFLite folds the batch norm into it and
    gives each output channel a scale of its own, so there clustering makes nothing smaller.
    """

    method: Literal["cluster"] = "cluster"
    parent: str = "base"
    #: More than 256 values cannot be told apart in an int8 kernel.
    clusters: int = Field(default=32, ge=2, le=256)
    #: How the first shared values are spread; tfmot's `CentroidInitialization`.
    initialisation: Literal["linear", "density", "kmeans++"] = "linear"
    epochs: Epochs = 1.0
    batch_size: BatchSize = 500
    learning_rate: LearningRate = 1e-5
    validation_split: ValidationSplit = 0.1
    #: Keep the zeros of a pruned parent; one of the `clusters` values is then zero.
    preserve_sparsity: bool = False

    @model_validator(mode="after")
    def _leaves_values_beside_zero(self) -> ClusterSpec:
        if self.preserve_sparsity and self.clusters < 3:
            raise ValueError(
                f"clusters {self.clusters} with preserve_sparsity = true leaves a single value "
                "beside zero: give at least 3"
            )
        return self


VariantSpec = Annotated[TrainSpec | PruneSpec | ClusterSpec, Field(discriminator="method")]


class QuantiseSpec(StrictModel):
    """Post-training quantisation to int8 weights, activations, inputs and outputs."""

    #: Whether fully-connected kernels get one scale for each output instead of one in all.
    #: TensorFlow >= 2.20 does so by default, which spreads a kernel's shared values over the
    #: whole int8 range and so undoes what clustering wins (measured: 80 KiB instead of 46 KiB
    #: encoded for 16 clusters). Convolutions always have one scale for each output channel.
    per_channel_dense: bool = False
    #: Training images the ranges of the activations are taken from: the first so many.
    calibration_images: int = Field(default=200, ge=1, le=4000)
