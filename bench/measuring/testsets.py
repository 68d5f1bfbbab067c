"""The test set of a model: a user's data set, the test split of a recipe, or random inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from bench.cache import JSON
from bench.core.arrays import Array, digest_arrays
from bench.core.errors import ModelError
from bench.measuring.datasets import Dataset, Survey, fit_dataset, fitted_dataset
from bench.measuring.inputs import sha256_of
from bench.measuring.products import ProductStore
from bench.measuring.scoring.labels import are_of_steps
from bench.measuring.scoring.outputs import judged_output
from bench.plan.config import CustomMetric, ModelFileWorkload, Workload
from bench.plan.metrics import AccuracyMetric
from bench.records.record import DataIdentity
from bench.tflite.model_file import ModelFile
from bench.tflite.random_inputs import random_inputs

__all__ = ["FITTING_CODE", "TestSet", "judged_output_of", "obtain_test_set", "test_set_of"]

#: What fits a data set to a model.
FITTING_CODE = ("bench.measuring.datasets",)


@dataclass(frozen=True)
class TestSet:
    """The test set of a model: inputs in the model's own dtype, and labels if there are any.

    The arrays of a data set are mapped: read-only, and never in memory as a whole.
    """

    #: One array for each model input, `[n, ...]`, or `[n, steps, ...]` for streams.
    inputs: tuple[Array, ...]
    labels: Array | None
    #: Why there are no labels, if there are none.
    labels_absent: str
    metric: AccuracyMetric | CustomMetric
    identity: DataIdentity
    #: The index of the judged output among the model's.
    output: int = 0
    #: Share of the inputs' values that were cut to the range of the model's inputs, 0..1.
    saturated: float = 0.0

    @cached_property
    def inputs_sha256(self) -> str:
        """The digest of the inputs, for cache keys. Several cells share a test set."""
        return digest_arrays(self.inputs)

    @property
    def inferences(self) -> int:
        """How many inferences it takes: one for each sample, or for each step of a stream."""
        return self.identity.samples * (self.identity.steps or 1)

    def first(self, inferences: int | None) -> TestSet:
        """What the first `inferences` take, but one stream at least; None = all."""
        if inferences is None:
            return self
        samples = max(1, inferences // (self.identity.steps or 1))
        labels = None if self.labels is None else self.labels[:samples]
        inputs = tuple(array[:samples] for array in self.inputs)
        return replace(self, inputs=inputs, labels=labels)


def obtain_test_set(store: ProductStore, workload: ModelFileWorkload, model: ModelFile) -> TestSet:
    """The test set of a user's `model`, quantised like its input tensors; kept in `store`.

    Raises `ModelError` if the data set does not fit the model.
    """
    if workload.dataset is None:
        return _random(workload, model)
    return test_set_of(store, workload, workload.dataset.name, workload.dataset, model)


def test_set_of(
    store: ProductStore, workload: Workload, name: str, dataset: Path, model: ModelFile
) -> TestSet:
    """The data set `dataset`, which records call `name`, fitted to `model`; kept in `store`.

    Raises `ModelError` if it does not fit.
    """
    fitted = _fitted(store, name, dataset, model)
    output = judged_output_of(workload, dataset, fitted.dataset.survey, model)
    return _labelled(fitted, workload.metric, output)


def judged_output_of(workload: Workload, dataset: Path, survey: Survey, model: ModelFile) -> int:
    """The index of the output that the labels of the workload's dataset belong to.

    Everything is checked that can be checked before the model runs. Raises `ModelError` if the
    labels do not fit the model, or if the data is not scaled as the model needs.
    """
    if survey.saturated > workload.max_saturated:
        raise ModelError(
            f"dataset {dataset}: {survey.saturated:.1%} of the values are outside what the model's "
            f"inputs can hold: {survey.ranges}",
            cure="scale the data as it was for training, or raise max_saturated",
        )
    metric = workload.metric if isinstance(workload.metric, AccuracyMetric) else None
    labels = survey.labels
    if labels is not None and are_of_steps(labels.shape, survey.steps, metric):
        streams, steps, *rest = labels.shape
        labels = labels.model_copy(update={"shape": (streams * steps, *rest)})
    return judged_output(metric, model.outputs, labels, workload.output)


@dataclass(frozen=True)
class _Fitted:
    """A data set fitted to a model."""

    name: str
    #: Of its file, as the user gave it.
    sha256: str
    dataset: Dataset


def _fitted(store: ProductStore, name: str, path: Path, model: ModelFile) -> _Fitted:
    sha256 = sha256_of(path)
    inputs: list[JSON] = [
        {
            "shape": list(tensor.shape),
            "dtype": tensor.dtype,
            "scales": list(tensor.scales),
            "zero_points": list(tensor.zero_points),
        }
        for tensor in model.inputs
    ]
    product = store.product("fitted", name, {"dataset": sha256, "inputs": inputs}, FITTING_CODE)
    entry = store.obtain(product, lambda directory: fit_dataset(path, model, directory))
    return _Fitted(name, sha256, fitted_dataset(path, model, entry.file))


def _labelled(fitted: _Fitted, metric: AccuracyMetric | CustomMetric, output: int) -> TestSet:
    dataset = fitted.dataset
    samples = len(dataset.inputs[0])
    identity = DataIdentity(
        name=fitted.name, sha256=fitted.sha256, samples=samples, steps=dataset.survey.steps
    )
    absent = "" if dataset.labels is not None else f"{fitted.name} has no labels"
    return TestSet(
        dataset.inputs, dataset.labels, absent, metric, identity, output, dataset.survey.saturated
    )


def _random(workload: ModelFileWorkload, model: ModelFile) -> TestSet:
    count, steps = workload.random_inputs, workload.random_steps
    if steps is not None and not model.has_state:
        raise ModelError(
            f"random_steps = {steps}, but the model keeps no state",
            cure="remove random_steps",
        )
    inputs = random_inputs(model, count * (steps or 1), workload.seed)
    if steps is not None:
        inputs = tuple(array.reshape(count, steps, *array.shape[1:]) for array in inputs)
    identity = DataIdentity(
        name=f"random seed {workload.seed}",
        sha256=digest_arrays(inputs),
        samples=count,
        steps=steps,
    )
    absent = "no dataset is given, so there are no labels to compare with"
    return TestSet(inputs, None, absent, workload.metric, identity)
