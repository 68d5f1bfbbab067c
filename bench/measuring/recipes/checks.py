"""Whether a recipe's network, data and variants fit together, before anything is trained."""

from __future__ import annotations

from bench.core.errors import BuildError
from bench.core.schema import suggest
from bench.plan.config import TrainedWorkload
from models.reading.facts import DataFacts, ModelFacts
from models.reading.storing import ArrayFacts, SplitFacts

__all__ = ["check_recipe"]

#: The loss whose labels are numbers of classes.
_SPARSE = "sparse"


def check_recipe(workload: TrainedWorkload, network: ModelFacts, data: DataFacts) -> None:
    """Raise `BuildError`, in one sentence, if something does not fit."""
    _check_layers(workload, network)
    for name, split in data.splits.items():
        place = f'data()["{name}"]'
        _check_inputs(place, split, network)
        if name != "calibration":
            _check_labels(place, split, network)


def _check_layers(workload: TrainedWorkload, network: ModelFacts) -> None:
    known = [layer.name for layer in network.layers]
    for name in network.compressed_layers:
        if name not in known:
            raise BuildError(
                f"compressed_layers: the model has no layer {name!r}; {suggest(name, known)}"
            )
    compresses = any(spec.method in ("prune", "cluster") for spec in workload.variants.values())
    if compresses and not network.compressed_layers:
        raise BuildError(
            "the model has no layer that is worth compressing: "
            + ", ".join(f"{layer.name} ({layer.kind})" for layer in network.layers),
            cure="name them: compressed_layers = (...) in the recipe",
        )


def _check_inputs(place: str, split: SplitFacts, network: ModelFacts) -> None:
    for array, spec in zip(split.inputs, network.inputs, strict=True):
        fits = len(array.row) == len(spec.shape) and all(
            wanted is None or wanted == given
            for wanted, given in zip(spec.shape, array.row, strict=True)
        )
        if not fits:
            wanted = ["any" if n is None else n for n in spec.shape]
            raise BuildError(
                f"{place}: a sample is {list(array.row)}, and the model's input {spec.name!r} "
                f"takes {wanted}"
            )


def _check_labels(place: str, split: SplitFacts, network: ModelFacts) -> None:
    if not split.labels:
        raise BuildError(f"{place}: has no labels", cure="return (inputs, labels)")
    if _SPARSE not in network.loss.lower() or len(network.outputs) != 1:
        return
    (labels,), (output,) = split.labels, network.outputs
    classes = output[-1] if output else None
    if labels.row == output and classes not in (None, 1):
        raise BuildError(
            f"{place}: labels are one-hot, {list(labels.row)} a sample, and the loss "
            f"{network.loss!r} takes the number of the class",
            cure='take labels.argmax(axis=-1), or set loss = "categorical_crossentropy"',
        )
    if labels.dtype != "int64" or len(labels.row) != max(0, len(output) - 1):
        raise BuildError(
            f"{place}: labels are {labels.dtype} {list(labels.row)} a sample, and the loss "
            f"{network.loss!r} takes integers {list(output[:-1])} for the model's output "
            f"{list(output)}",
            cure="correct the labels or the loss",
        )
    _check_classes(place, labels, classes)


def _check_classes(place: str, labels: ArrayFacts, classes: int | None) -> None:
    if labels.least < 0 or (classes is not None and labels.most >= classes):
        raise BuildError(
            f"{place}: labels are {labels.least:g} to {labels.most:g}, and the model has "
            f"{classes} classes: 0 to {(classes or 1) - 1}"
        )
