"""What a variant promises of its weights, from its spec and its parent's promises. Pure.

A fine-tuning that does not keep something trains it away, so a promise that is not renewed at a
step ends there. `models.promises` checks the promises on the quantised model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from bench.core.schema import StrictModel
from models.spec import (
    ClusterSpec,
    DerivedSpec,
    PruneSpec,
    QatSpec,
    QuantiseSpec,
    RequantiseSpec,
    TrainSpec,
    VariantSpec,
)

__all__ = ["Found", "Kept", "Promise", "check_parent", "promised", "promises_along"]

#: Stands for the layers that the workload names, where these are not known.
_USUAL = ("*",)


class Promise(StrictModel):
    """What is promised of the kernel of a layer."""

    #: The least share of zeros, 0..1.
    sparsity: float = 0.0
    #: This many zeros in each group of that many consecutive input channels.
    n_of_m: tuple[int, int] | None = None
    #: The most different values, in the whole kernel or in each output channel.
    values: int | None = None
    #: Whether each output channel has values of its own.
    per_channel: bool = False

    @property
    def of_zeros(self) -> bool:
        """Whether it promises zeros."""
        return self.sparsity > 0 or self.n_of_m is not None

    def without_values(self) -> Promise:
        """The promise of zeros alone."""
        return Promise(sparsity=self.sparsity, n_of_m=self.n_of_m)

    def without_zeros(self) -> Promise:
        """The promise of values alone."""
        return Promise(values=self.values, per_channel=self.per_channel)


class Found(StrictModel):
    """What the quantised model has."""

    #: Name of the weights in the `.tflite`.
    tensor: str
    sparsity: float
    #: Different values, in the whole tensor or in the channel that has most.
    values: int
    values_in: Literal["tensor", "channel"]
    #: Groups of `Promise.n_of_m` that have too few zeros.
    groups_short: int = 0


class Kept(StrictModel):
    """A promise, and what was found when it was checked."""

    layer: str
    #: The weight of the layer: `kernel`, and so on.
    weight: str
    promise: Promise
    found: Found


def promised(
    spec: VariantSpec, parent: Mapping[str, Promise], usual: Sequence[str]
) -> dict[str, Promise]:
    """Layer -> what a variant promises, from `parent`, the promises of what it is made from.

    `usual` are the layers that are compressed if the spec names none.
    """
    if isinstance(spec, TrainSpec):
        return {}
    if isinstance(spec, RequantiseSpec):
        return dict(parent)
    if isinstance(spec, PruneSpec):
        return {name: _pruned(spec, name) for name in spec.layers or usual}
    if isinstance(spec, ClusterSpec):
        return {
            name: _clustered(spec, name, parent.get(name, Promise()))
            for name in spec.layers or usual
        }
    kept = {name: _kept(spec, promise) for name, promise in parent.items()}
    return {name: promise for name, promise in kept.items() if promise != Promise()}


def promises_along(lineage: Sequence[VariantSpec]) -> dict[str, Promise]:
    """The promises of the first of `lineage`; each is made from the next.

    The layers that the workload names appear as one, called `*`.
    """
    promises: dict[str, Promise] = {}
    for spec in reversed(lineage):
        promises = promised(spec, promises, _USUAL)
    return promises


def check_parent(
    spec: DerivedSpec, parent: str, lineage: Sequence[VariantSpec], quantise: QuantiseSpec
) -> None:
    """Raise ValueError, in one sentence, if `spec` cannot be made from `parent`.

    `lineage` begins with the parent's spec; `quantise` is the workload's.
    """
    before = lineage[0]
    if isinstance(before, (RequantiseSpec, QatSpec)):
        raise ValueError(
            f"parent: {parent!r} is made by method {before.method!r}, for its quantised model "
            f"only; make this variant from {before.parent!r}"
        )
    promises = promises_along(lineage).values()
    zeros = any(promise.of_zeros for promise in promises)
    values = any(promise.values is not None for promise in promises)
    if isinstance(spec, ClusterSpec) and spec.preserve_sparsity and not zeros:
        raise ValueError(f"preserve_sparsity: its parent {parent!r} promises no zeros to keep")
    if isinstance(spec, QatSpec):
        if spec.keeps_sparsity and not zeros:
            raise ValueError(
                f"preserve = {spec.preserve!r}: its parent {parent!r} promises no zeros to keep"
            )
        if spec.keeps_clusters and not values:
            raise ValueError(
                f"preserve = {spec.preserve!r}: its parent {parent!r} promises no shared values"
            )
        if spec.keeps_clusters and any(promise.per_channel for promise in promises):
            raise ValueError(
                f"preserve = {spec.preserve!r}: each channel of its parent {parent!r} has values "
                "of its own, which tfmot mixes while it simulates int8"
            )
        _check_qat_quantises(quantise)
    if isinstance(spec, RequantiseSpec):
        spec.applied_to(quantise)


def _check_qat_quantises(quantise: QuantiseSpec) -> None:
    """Raise ValueError if tfmot does not simulate what the workload says."""
    usual = QuantiseSpec(calibration_images=quantise.calibration_images)
    for name, value in quantise:
        if value != getattr(usual, name):
            raise ValueError(
                f"method 'qat': tfmot simulates {name} = {getattr(usual, name)!r} only, and the "
                f"workload's quantise.{name} is {value!r}"
            )


def _pruned(spec: PruneSpec, layer: str) -> Promise:
    if spec.n_of_m is not None:
        return Promise(n_of_m=spec.n_of_m)
    return Promise(sparsity=spec.sparsity(layer))


def _clustered(spec: ClusterSpec, layer: str, parent: Promise) -> Promise:
    zeros = parent.without_values() if spec.preserve_sparsity else Promise()
    return zeros.model_copy(update={"values": spec.values(layer), "per_channel": spec.per_channel})


def _kept(spec: QatSpec, parent: Promise) -> Promise:
    zeros = parent.without_values() if spec.keeps_sparsity else Promise()
    values = parent.without_zeros() if spec.keeps_clusters else Promise()
    return zeros.model_copy(update={"values": values.values, "per_channel": values.per_channel})
