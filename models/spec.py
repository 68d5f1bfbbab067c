"""The variants of a trained workload in `bench.toml`. Data and checks, no TensorFlow.

Epochs are those on the data at hand, or on as many samples as the recipe's `epochs_for` says; see
`models.schedule`. What a spec may be made from is in `models.lineage`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from bench.core.schema import StrictModel

__all__ = [
    "ClusterSpec",
    "DerivedSpec",
    "PruneSpec",
    "QatSpec",
    "QuantiseSpec",
    "RequantiseSpec",
    "TrainSpec",
    "VariantSpec",
]

#: Fractions are for recipes that state them for a larger data set; no epoch is cut short.
Epochs = Annotated[float, Field(gt=0, le=1000)]
BatchSize = Annotated[int, Field(ge=1, le=60_000)]
LearningRate = Annotated[float, Field(gt=0, le=1)]
Sparsity = Annotated[float, Field(gt=0, lt=1)]
#: An int8 kernel cannot have more than 256 different values.
Clusters = Annotated[int, Field(ge=2, le=256)]
#: The share of the training images, taken from their end, that the optimiser does not see.
ValidationSplit = Annotated[float, Field(ge=0, lt=1)]
CalibrationImages = Annotated[int, Field(ge=1, le=4000)]
Activations = Literal["int8", "int16"]

#: With `cosine` the learning rate falls to 0 during the training, for networks whose accuracy would
#: otherwise depend on the last few batches.
Decay = Literal["constant", "cosine"]


class _Growing(StrictModel):
    """Settings to which later versions of the bench add.

    A setting in `_added` is written only if it differs from its default. So what was made and
    accepted before the setting existed keeps its keys, its provenance and its records.
    """

    _added: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_added_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        values: dict[str, Any] = handler(self)
        return {
            name: value
            for name, value in values.items()
            if name not in self._added
            or getattr(self, name) != fields[name].get_default(call_default_factory=True)
        }


class TrainSpec(StrictModel):
    """Train from scratch with Adam. The defaults are those of Arm's MNIST recipe."""

    method: Literal["train"] = "train"
    #: 0 takes the model with the weights that it comes with.
    epochs: Annotated[float, Field(ge=0, le=1000)] = 10.0
    batch_size: BatchSize = 32
    learning_rate: LearningRate = 1e-3
    decay: Decay = "constant"
    validation_split: ValidationSplit = 0.1


class PruneSpec(_Growing):
    """Fine-tune `parent` while its smallest weights are set to zero and kept there.

    With the schedule `polynomial` the sparsity rises from `initial_sparsity` at the first step to
    `final_sparsity` at the last, by tfmot's `PolynomialDecay` (power 3). With `constant` it is
    `final_sparsity` from the first update on, and with `n_of_m` it follows from the pattern.
    """

    _added = frozenset(
        {"schedule", "n_of_m", "block_size", "block_pooling", "layers", "sparsity_of"}
    )

    method: Literal["prune"] = "prune"
    parent: str = "base"
    schedule: Literal["polynomial", "constant"] = "polynomial"
    initial_sparsity: Sparsity = 0.5
    final_sparsity: Sparsity = 0.8
    #: `[2, 4]`: 2 zeros in each group of 4 consecutive input channels.
    n_of_m: tuple[int, int] | None = None
    #: Zeros come in blocks of this many inputs and outputs of a fully-connected layer.
    block_size: tuple[int, int] = (1, 1)
    #: What makes a block small: the average of its magnitudes, or the largest of them.
    block_pooling: Literal["average", "max"] = "average"
    #: The layers to prune; by default those that the workload names.
    layers: tuple[str, ...] | None = Field(default=None, min_length=1)
    #: The final sparsity of single layers.
    sparsity_of: dict[str, Sparsity] = Field(default_factory=dict)
    epochs: Epochs = 2.0
    batch_size: BatchSize = 128
    learning_rate: LearningRate = 1e-3
    decay: Decay = "constant"
    validation_split: ValidationSplit = 0.1

    def sparsity(self, layer: str) -> float:
        """The final sparsity of `layer`, without a pattern."""
        return self.sparsity_of.get(layer, self.final_sparsity)

    @model_validator(mode="after")
    def _figures_fit(self) -> PruneSpec:
        _check_listed("sparsity_of", self.sparsity_of, self.layers)
        if self.n_of_m is not None:
            return self._pattern_fits(*self.n_of_m)
        if min(self.block_size) < 1:
            raise ValueError(f"block_size {list(self.block_size)}: a block has at least 1 weight")
        if self.schedule == "constant":
            if self.initial_sparsity != _default(PruneSpec, "initial_sparsity"):
                raise ValueError(
                    'schedule "constant" has no initial_sparsity: the sparsity is final_sparsity '
                    "from the start"
                )
        elif self.final_sparsity < self.initial_sparsity:
            raise ValueError(
                f"final_sparsity {self.final_sparsity} is below initial_sparsity "
                f"{self.initial_sparsity}: pruned weights do not come back, so raise the first or "
                "lower the second"
            )
        return self

    def _pattern_fits(self, zeros: int, group: int) -> PruneSpec:
        if not 0 < zeros < group:
            raise ValueError(
                f"n_of_m [{zeros}, {group}]: give how many of how many weights are zero, "
                "for example [2, 4]"
            )
        alone = ("schedule", "initial_sparsity", "final_sparsity", "block_size", "sparsity_of")
        for name in alone:
            if getattr(self, name) != _default(PruneSpec, name):
                raise ValueError(f"n_of_m decides which weights are zero: leave out {name}")
        return self


class ClusterSpec(_Growing):
    """Fine-tune `parent` while every kernel is restricted to `clusters` shared values.

    The int8 kernel of a fully-connected layer keeps them if the whole kernel has one scale (see
    `QuantiseSpec`). The kernel of a convolution keeps them in each output channel only: TFLite
    folds the batch norm into it and gives each channel its own scale.
    """

    _added = frozenset({"per_channel", "layers", "clusters_of"})

    method: Literal["cluster"] = "cluster"
    parent: str = "base"
    clusters: Clusters = 32
    #: Values of single layers.
    clusters_of: dict[str, Clusters] = Field(default_factory=dict)
    #: Give each output channel of a convolution shared values of its own.
    per_channel: bool = False
    #: The layers to cluster; by default those that the workload names.
    layers: tuple[str, ...] | None = Field(default=None, min_length=1)
    #: How the initial shared values are distributed; tfmot's `CentroidInitialization`, or `even`:
    #: the same distance apart from -m to m, where m is the largest magnitude, and never moved. With
    #: `per_channel` the int8 values of all channels are then the same, whatever their scales.
    initialisation: Literal["linear", "density", "kmeans++", "even"] = "linear"
    epochs: Epochs = 1.0
    batch_size: BatchSize = 500
    learning_rate: LearningRate = 1e-5
    validation_split: ValidationSplit = 0.1
    #: Keep the zeros of a pruned parent; one of the `clusters` values is then zero.
    preserve_sparsity: bool = False

    def values(self, layer: str) -> int:
        """How many shared values `layer` gets."""
        return self.clusters_of.get(layer, self.clusters)

    @model_validator(mode="after")
    def _leaves_values_beside_zero(self) -> ClusterSpec:
        _check_listed("clusters_of", self.clusters_of, self.layers)
        fewest = min([self.clusters, *self.clusters_of.values()])
        if self.preserve_sparsity and fewest < 3:
            raise ValueError(
                f"clusters {fewest} with preserve_sparsity = true leaves a single value "
                "besides zero: give at least 3"
            )
        return self


class QuantiseSpec(_Growing):
    """Quantisation after training: int8 weights, and int8 or int16 activations, inputs, outputs."""

    _added = frozenset({"activations", "per_channel"})

    #: With `int16`, TFLite's 16x8: activations of 16 bits with the zero point 0.
    activations: Activations = "int8"
    #: Whether fully-connected kernels get one scale per output instead of a single scale.
    #: TensorFlow >= 2.20 does so by default. This spreads a kernel's shared values over the whole
    #: int8 range and so undoes what clustering gains (measured: 80 KiB instead of 46 KiB encoded
    #: for 16 clusters).
    per_channel_dense: bool = False
    #: Whether convolutions get one scale per output channel instead of a single scale.
    per_channel: bool = True
    #: How many training images, from the first on, give the ranges of the activations.
    calibration_images: CalibrationImages = 200

    @model_validator(mode="after")
    def _one_scale_is_for_all(self) -> QuantiseSpec:
        if self.per_channel_dense and not self.per_channel:
            raise ValueError(
                "per_channel = false gives every layer a single scale: leave out per_channel_dense"
            )
        return self


class RequantiseSpec(StrictModel):
    """The float weights of `parent`, quantised in another way; what is left out stays."""

    method: Literal["quantise"] = "quantise"
    parent: str = "base"
    activations: Activations | None = None
    per_channel_dense: bool | None = None
    per_channel: bool | None = None
    calibration_images: CalibrationImages | None = None

    def applied_to(self, usual: QuantiseSpec) -> QuantiseSpec:
        """`usual` with what is stated here. Raises ValueError if the two do not fit together."""
        stated = self.model_dump(exclude={"method", "parent"}, exclude_none=True)
        return QuantiseSpec.model_validate(usual.model_dump() | stated)


class QatSpec(StrictModel):
    """Fine-tune `parent` while int8 arithmetic is simulated: quantisation-aware training."""

    method: Literal["qat"] = "qat"
    parent: str = "base"
    #: What is kept of a pruned, a clustered, or a pruned and clustered parent: tfmot's PQAT, CQAT
    #: and PCQAT. What is not kept is trained away.
    preserve: Literal["none", "sparsity", "clusters", "both"] = "none"
    epochs: Epochs = 1.0
    batch_size: BatchSize = 128
    learning_rate: LearningRate = 1e-4
    decay: Decay = "constant"
    validation_split: ValidationSplit = 0.1

    @property
    def keeps_sparsity(self) -> bool:
        """Whether the parent's zeros stay."""
        return self.preserve in ("sparsity", "both")

    @property
    def keeps_clusters(self) -> bool:
        """Whether the parent's shared values stay shared."""
        return self.preserve in ("clusters", "both")


#: A variant that is made from another one.
DerivedSpec = PruneSpec | ClusterSpec | RequantiseSpec | QatSpec
VariantSpec = Annotated[
    TrainSpec | PruneSpec | ClusterSpec | RequantiseSpec | QatSpec, Field(discriminator="method")
]


def _default(model: type[StrictModel], name: str) -> Any:
    return model.model_fields[name].get_default(call_default_factory=True)


def _check_listed(key: str, figures: Mapping[str, float], layers: tuple[str, ...] | None) -> None:
    """Raise ValueError if a layer has a figure of its own and is not among `layers`."""
    for layer in figures:
        if layers is not None and layer not in layers:
            raise ValueError(f"{key}: {layer!r} is not among layers ({', '.join(layers)})")
