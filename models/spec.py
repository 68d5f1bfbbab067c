"""The variants of a built-in workload in `bench.toml`. Data and checks, no TensorFlow.

Epochs are stated for the full MNIST training set of 60,000 images, as in Arm's recipe.
`models.schedule` converts them to the number of epochs on the data that is used.
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

#: Epochs on full MNIST. Fractions are for smaller data sets; an epoch is never cut short.
Epochs = Annotated[float, Field(gt=0, le=1000)]
BatchSize = Annotated[int, Field(ge=1, le=60_000)]
LearningRate = Annotated[float, Field(gt=0, le=1)]
Sparsity = Annotated[float, Field(gt=0, lt=1)]
#: The share of the training images, taken from their end, that the optimiser does not see.
ValidationSplit = Annotated[float, Field(ge=0, lt=1)]


#: With `cosine` the learning rate falls to 0 during the training, for networks whose accuracy would
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
                f"{self.initial_sparsity}: pruned weights do not come back, so raise the first or "
                "lower the second"
            )
        return self


class ClusterSpec(StrictModel):
    """Fine-tune `parent` while every kernel is restricted to `clusters` shared values.

    The int8 kernel of a fully-connected layer keeps them if the whole kernel has one scale (see
    `QuantiseSpec`). The kernel of a convolution does not: TFLite folds the batch norm into it and
    gives each output channel its own scale, so clustering makes nothing smaller there.
    """

    method: Literal["cluster"] = "cluster"
    parent: str = "base"
    #: An int8 kernel cannot have more than 256 different values.
    clusters: int = Field(default=32, ge=2, le=256)
    #: How the initial shared values are distributed; tfmot's `CentroidInitialization`.
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
                "besides zero: give at least 3"
            )
        return self


VariantSpec = Annotated[TrainSpec | PruneSpec | ClusterSpec, Field(discriminator="method")]


class QuantiseSpec(StrictModel):
    """Post-training quantisation to int8 weights, activations, inputs and outputs."""

    #: Whether fully-connected kernels get one scale per output instead of a single scale.
    #: TensorFlow >= 2.20 does so by default. This spreads a kernel's shared values over the whole
    #: int8 range and so undoes what clustering gains (measured: 80 KiB instead of 46 KiB encoded
    #: for 16 clusters). Convolutions always have one scale per output channel.
    per_channel_dense: bool = False
    #: How many training images, from the first on, give the ranges of the activations.
    calibration_images: int = Field(default=200, ge=1, le=4000)
