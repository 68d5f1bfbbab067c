"""From a `BuildRequest` to the three files of a variant. Uses TensorFlow; one process at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.core.arrays import row_slices
from bench.core.errors import BuildError, ModelError
from bench.core.files import write_atomically
from bench.tflite.reader import graph_of
from models import weights
from models.compression.changing import change, copy_weights
from models.compression.kernels import kernels_of
from models.lineage import Promise, promised
from models.messages import (
    BUILD_FILE,
    FLOAT_FILE,
    MODEL_FILE,
    BuildRequest,
    BuildResult,
    DataSummary,
    TrainingSummary,
)
from models.promises import check_promises
from models.quantise import quantise
from models.reading.facts import ModelFacts
from models.reading.network import facts_of, make_model
from models.reading.recipe import Recipe
from models.reading.storing import Rows, read_rows
from models.runtime import library_versions, reset, tf
from models.schedule import TrainingPlan, no_training, plan_training
from models.spec import PruneSpec, QatSpec, QuantiseSpec, RequantiseSpec
from models.training import OnProgress, TrainingSet

__all__ = ["build"]

#: The share of a build that training takes, for the progress display.
_TRAINING_SHARE = 0.9
#: In the names of the losses of classifiers.
_CROSSENTROPY = "crossentropy"
#: Bytes of inputs that Keras is given at once, to predict.
_PREDICTED_BYTES = 16 << 20


def build(
    request: BuildRequest, recipe: Recipe, out_dir: Path, on_progress: OnProgress
) -> BuildResult:
    """Make the variant in the existing directory `out_dir`: its model, float weights and result.

    Raises:
        BuildError: the recipe fails, the parent is another network, the training is too short for
            pruning, tfmot cannot do this with the network, or the quantised model does not keep
            what the variant promises.
        ModelError: the parent's weights or its result are missing or damaged.
    """
    on_progress("loading data", 0.0)
    data = {name: read_rows(path) for name, path in request.data.files.items()}
    training = _training_set(request, recipe, data["train"])

    reset(request.seed)
    model = make_model(request.origin, recipe)
    facts = facts_of(model, recipe)
    parent_sha256 = _take_weights_of_parent(model, request)
    parent, usual = _promises_of_parent(request), facts.compressed_layers
    trained = change(
        model,
        request.spec,
        usual,
        parent,
        training,
        lambda text, share: on_progress(text, share * _TRAINING_SHARE),
    )
    # Wrapping and stripping leave traces in the model (names, frozen graphs). A new model with the
    # same weights has none, so a variant's .tflite depends only on its weights.
    # Layers without a name get the same one again.
    tf.keras.backend.reset_uids()
    final = make_model(request.origin, recipe)
    copy_weights(trained, request.spec, final)
    # The ranges that a quantisation-aware training found are in its model only.
    deployed = trained if isinstance(request.spec, QatSpec) else final
    arrays = _weights_of(final)

    on_progress("quantising", _TRAINING_SHARE)
    calibration = data["calibration"].inputs
    tflite = quantise(deployed, _quantisation(request), calibration, _output_names(final, facts))
    promises = promised(request.spec, parent, usual)
    graph = graph_of(tflite, out_dir / MODEL_FILE)
    kept = check_promises(promises, kernels_of(final, promises), graph)
    on_progress("testing", 0.97)
    packed = weights.pack(arrays)
    shas = parent_sha256, hashlib.sha256(packed).hexdigest()
    result = _result(request, facts, data, training, deployed, arrays, tflite, shas)
    result = result.model_copy(update={"kept": kept})
    write_atomically(out_dir / MODEL_FILE, tflite)
    write_atomically(out_dir / FLOAT_FILE, packed)
    write_atomically(out_dir / BUILD_FILE, result.model_dump_json(indent=2) + "\n")
    return result


def _training_set(request: BuildRequest, recipe: Recipe, train: Rows) -> TrainingSet:
    plan = _plan(request, recipe, len(train))
    return TrainingSet(train.inputs, train.labels, plan, recipe.loss, recipe.optimizer)


def _plan(request: BuildRequest, recipe: Recipe, images: int) -> TrainingPlan:
    spec = request.spec
    if isinstance(spec, RequantiseSpec) or not spec.epochs:
        return no_training(images)
    plan = plan_training(
        epochs=spec.epochs,
        batch_size=spec.batch_size,
        validation_split=spec.validation_split,
        images=images,
        stated_for=recipe.epochs_for,
    )
    if isinstance(spec, PruneSpec) and plan.steps < 2:
        raise BuildError(
            f"variant {request.variant!r}: pruning rises from one sparsity to the other, which "
            f"takes at least 2 optimiser steps; {plan.fit_images} images in batches of "
            f"{spec.batch_size} give {plan.steps}",
            cure="lower batch_size or raise epochs",
        )
    return plan


def _quantisation(request: BuildRequest) -> QuantiseSpec:
    """How the variant is quantised: as its workload says, or otherwise."""
    spec = request.spec
    return (
        spec.applied_to(request.quantise) if isinstance(spec, RequantiseSpec) else request.quantise
    )


def _promises_of_parent(request: BuildRequest) -> dict[str, Promise]:
    if request.parent_dir is None:
        return {}
    file = request.parent_dir / BUILD_FILE
    try:
        parent = BuildResult.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{file}: cannot read what the parent variant promises: {error}",
            cure="build the parent variant again: clear its entry from the cache",
        ) from error
    return {entry.layer: entry.promise for entry in parent.kept}


def _output_names(model: Any, facts: ModelFacts) -> tuple[str, ...]:
    """What the outputs are called in the `.tflite`."""
    count = len(facts.outputs)
    if count == 1:
        return ("probabilities",) if _CROSSENTROPY in facts.loss.lower() else ("output",)
    names = tuple(model.output_names)
    # One layer may give several outputs.
    return names if len(set(names)) == count else tuple(f"output_{i}" for i in range(count))


def _take_weights_of_parent(model: Any, request: BuildRequest) -> str | None:
    """Give `model` the parent's weights. Returns their sha256, or None if there is no parent."""
    if request.parent_dir is None:
        return None
    file = request.parent_dir / FLOAT_FILE
    arrays = weights.read(file)
    expected = {name: array.shape for name, array in _weights_of(model).items()}
    found = {name: array.shape for name, array in arrays.items()}
    if found != expected:
        raise BuildError(
            f"{file}: holds the weights of another network than {request.origin.name!r} makes",
            cure="let model() give the same network each time",
        )
    model.set_weights(list(arrays.values()))
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _weights_of(model: Any) -> dict[str, npt.NDArray[np.float32]]:
    """`layer/weight` -> array, in the order of `model.get_weights()`."""
    names: dict[str, None] = {}
    for weight in model.weights:
        name = weight.name.split(":")[0]
        # Keras gives a weight of a layer of one's own any name, also one that is taken.
        again = sum(known.split("#")[0] == name for known in names)
        names[f"{name}#{again}" if again else name] = None
    return dict(zip(names, model.get_weights(), strict=True))


def _result(
    request: BuildRequest,
    facts: ModelFacts,
    data: Mapping[str, Rows],
    training: TrainingSet,
    model: Any,
    arrays: dict[str, npt.NDArray[np.float32]],
    tflite: bytes,
    shas: tuple[str | None, str],
) -> BuildResult:
    """`shas` are those of the float weights of the parent and of the variant."""
    plan = training.plan
    validation = Rows(
        tuple(array[plan.fit_images :] for array in training.inputs),
        tuple(array[plan.fit_images :] for array in training.labels),
    )
    return BuildResult(
        workload=request.workload,
        variant=request.variant,
        architecture=request.origin.name,
        seed=request.seed,
        data=DataSummary(
            name=request.data.name,
            sha256=request.data.sha256,
            train_images=plan.fit_images,
            validation_images=plan.validation_images,
            test_images=len(data["test"]),
        ),
        training=TrainingSummary(method=request.spec.method, epochs=plan.epochs, steps=plan.steps),
        quantise=_quantisation(request),
        float_accuracy=_accuracy(model, facts, data["test"]),
        validation_accuracy=_accuracy(model, facts, validation) if plan.validation_images else None,
        weight_count=sum(array.size for array in arrays.values()),
        kernels=weights.kernel_stats(arrays),
        tflite_sha256=hashlib.sha256(tflite).hexdigest(),
        tflite_bytes=len(tflite),
        parent_sha256=shas[0],
        float_sha256=shas[1],
        versions=library_versions(),
    )


def _accuracy(model: Any, facts: ModelFacts, rows: Rows) -> float | None:
    """Top-1 on `rows`; None if the labels are no numbers of classes of a single output."""
    classes = len(facts.outputs) == 1 and len(facts.outputs[0]) == 1 and facts.outputs[0] != (1,)
    if not classes or len(rows.labels) != 1 or rows.labels[0].dtype.kind != "i":
        return None
    labels = rows.labels[0]
    if labels.ndim != 1:
        return None
    right = 0
    for part in row_slices(len(labels), rows.inputs[0][:1].nbytes, _PREDICTED_BYTES):
        inputs = [array[part] for array in rows.inputs]
        given = inputs[0] if len(inputs) == 1 else inputs
        predicted = model.predict(given, batch_size=1000, verbose=0).argmax(axis=1)
        right += int(np.count_nonzero(predicted == labels[part]))
    return right / len(labels)
