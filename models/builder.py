"""From a `BuildRequest` to the three files of a variant. Uses TensorFlow; one process at a time."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.core.errors import BuildError, ModelError
from bench.core.files import write_atomically
from bench.tflite.reader import graph_of
from models import weights
from models.compression.changing import change, copy_weights
from models.compression.kernels import kernels_of
from models.data import MnistData, load, to_float
from models.lineage import Kept, Promise, promised
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
from models.registry import ARCHITECTURES, Architecture
from models.runtime import library_versions, reset
from models.schedule import TrainingPlan, no_training, plan_training
from models.spec import PruneSpec, QatSpec, QuantiseSpec, RequantiseSpec
from models.training import OnProgress, TrainingSet

__all__ = ["build"]

#: The share of a build that training takes, for the progress display.
_TRAINING_SHARE = 0.9


def build(request: BuildRequest, out_dir: Path, on_progress: OnProgress) -> BuildResult:
    """Make the variant in the existing directory `out_dir`: its model, float weights and result.

    Raises:
        BuildError: the architecture is unknown, the parent is another network, the training is too
            short for pruning, tfmot cannot do this with the network, or the quantised model does
            not keep what the variant promises.
        ModelError: the parent's weights or its result are missing or damaged.
        DownloadError, PrerequisiteError: the data is not available.
    """
    architecture = _architecture(request)
    on_progress("loading data", 0.0)
    data = load(request.data)
    images = to_float(data.x_train)
    spec = request.spec
    training = TrainingSet(images, data.y_train, _plan(request, len(images)))

    reset(request.seed)
    model = architecture.build()
    parent_sha256 = _take_weights_of_parent(model, request)
    parent, usual = _promises_of_parent(request), architecture.compressed_layers
    trained = change(
        model,
        spec,
        usual,
        parent,
        training,
        lambda text, share: on_progress(text, share * _TRAINING_SHARE),
    )
    # Wrapping and stripping leave traces in the model (names, frozen graphs). A new model with the
    # same weights has none, so a variant's .tflite depends only on its weights.
    final = architecture.build()
    copy_weights(trained, spec, final)
    # The ranges that a quantisation-aware training found are in its model only.
    deployed = trained if isinstance(spec, QatSpec) else final
    arrays = _weights_of(final)

    on_progress("quantising", _TRAINING_SHARE)
    tflite = quantise(deployed, _quantisation(request), images)
    promises = promised(spec, parent, usual)
    graph = graph_of(tflite, out_dir / MODEL_FILE)
    kept = check_promises(promises, kernels_of(final, promises), graph)
    on_progress("testing", 0.97)
    packed = weights.pack(arrays)
    shas = parent_sha256, hashlib.sha256(packed).hexdigest()
    result = _result(request, data, training, deployed, arrays, tflite, shas, kept)
    write_atomically(out_dir / MODEL_FILE, tflite)
    write_atomically(out_dir / FLOAT_FILE, packed)
    write_atomically(out_dir / BUILD_FILE, result.model_dump_json(indent=2) + "\n")
    return result


def _architecture(request: BuildRequest) -> Architecture:
    try:
        return ARCHITECTURES[request.architecture]
    except KeyError:
        raise BuildError(
            f"workload {request.workload!r}: unknown architecture {request.architecture!r}",
            cure=f"use one of {', '.join(ARCHITECTURES)}",
        ) from None


def _plan(request: BuildRequest, images: int) -> TrainingPlan:
    spec = request.spec
    if isinstance(spec, RequantiseSpec):
        return no_training(images)
    plan = plan_training(
        epochs=spec.epochs,
        batch_size=spec.batch_size,
        validation_split=spec.validation_split,
        images=images,
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
            f"{file}: holds the weights of another network than {request.architecture!r}",
            cure="give the directory of a variant of the same architecture as parent_dir",
        )
    model.set_weights(list(arrays.values()))
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _weights_of(model: Any) -> dict[str, npt.NDArray[np.float32]]:
    """`layer/weight` -> array, in the order of `model.get_weights()`."""
    names = [weight.name.split(":")[0] for weight in model.weights]
    return dict(zip(names, model.get_weights(), strict=True))


def _result(
    request: BuildRequest,
    data: MnistData,
    training: TrainingSet,
    model: Any,
    arrays: dict[str, npt.NDArray[np.float32]],
    tflite: bytes,
    shas: tuple[str | None, str],
    kept: tuple[Kept, ...],
) -> BuildResult:
    """`shas` are those of the float weights of the parent and of the variant."""
    plan = training.plan
    return BuildResult(
        workload=request.workload,
        variant=request.variant,
        architecture=request.architecture,
        seed=request.seed,
        data=DataSummary(
            name=request.data.name,
            sha256=data.sha256,
            train_images=plan.fit_images,
            validation_images=plan.validation_images,
            test_images=len(data.x_test),
        ),
        training=TrainingSummary(method=request.spec.method, epochs=plan.epochs, steps=plan.steps),
        quantise=_quantisation(request),
        float_accuracy=_accuracy(model, to_float(data.x_test), data.y_test),
        validation_accuracy=_accuracy(
            model, training.images[plan.fit_images :], training.labels[plan.fit_images :]
        )
        if plan.validation_images
        else None,
        weight_count=sum(array.size for array in arrays.values()),
        kernels=weights.kernel_stats(arrays),
        kept=kept,
        tflite_sha256=hashlib.sha256(tflite).hexdigest(),
        tflite_bytes=len(tflite),
        parent_sha256=shas[0],
        float_sha256=shas[1],
        versions=library_versions(),
    )


def _accuracy(model: Any, images: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    predicted = model.predict(images, batch_size=1000, verbose=0).argmax(axis=1)
    return float(np.mean(predicted == labels))
