"""The messages between the builder process and its client, and the files of a build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, model_validator

from bench.core.schema import StrictModel
from models.lineage import Kept
from models.reading.facts import DataFacts, ModelFacts
from models.reading.origin import Origin
from models.reading.splits import SPLITS, InputSpec
from models.spec import QuantiseSpec, TrainSpec, VariantSpec

__all__ = [
    "BUILD_FILE",
    "FLOAT_FILE",
    "MODEL_FILE",
    "Answer",
    "BuildOrder",
    "BuildRequest",
    "BuildResult",
    "DataOrder",
    "DataSeen",
    "DataSummary",
    "Done",
    "Failed",
    "KernelStats",
    "Message",
    "Order",
    "Progress",
    "StoredData",
    "SurveyOrder",
    "Surveyed",
    "TrainingSummary",
    "parse_message",
    "parse_order",
    "split_file",
]

#: The files of a built variant: the int8 model, the float weights for variants made from it,
#: and its `BuildResult`.
MODEL_FILE = "model.tflite"
FLOAT_FILE = "float.npz"
BUILD_FILE = "build.json"


class StoredData(StrictModel):
    """The splits to train, calibrate and test with, as `models.reading.splits` stores them."""

    #: For records.
    name: str
    #: Of what a model is made from: the training and calibration data.
    sha256: str
    #: Split -> its archive.
    files: dict[str, Path]

    @classmethod
    def within(cls, name: str, directory: Path, facts: DataFacts) -> StoredData:
        """What a `DataOrder` left in `directory`."""
        files = {split: directory / split_file(split) for split in SPLITS}
        return cls(name=name, sha256=facts.training_sha256, files=files)


def split_file(split: str) -> str:
    """The name of the file of a split."""
    return f"{split}.npz"


class BuildRequest(StrictModel):
    """Everything that makes a variant. Equal requests with equal parents give equal bytes."""

    workload: str
    variant: str
    origin: Origin
    spec: VariantSpec
    quantise: QuantiseSpec = QuantiseSpec()
    seed: int = Field(default=0, ge=0, lt=2**32)
    data: StoredData
    #: The directory in which the parent variant was built; None for a variant trained from scratch.
    parent_dir: Path | None = None

    @model_validator(mode="after")
    def _parent_fits_the_method(self) -> BuildRequest:
        if not isinstance(self.spec, TrainSpec) and self.parent_dir is None:
            raise ValueError(
                f"variant {self.variant!r} is made from {self.spec.parent!r}: "
                "give the directory in which that one was built as parent_dir"
            )
        if isinstance(self.spec, TrainSpec) and self.parent_dir is not None:
            raise ValueError(f"variant {self.variant!r} is trained from scratch: it has no parent")
        return self


class KernelStats(StrictModel):
    """One float kernel as the variant left it."""

    shape: tuple[int, ...]
    #: The share of its weights that are exactly zero, 0..1.
    sparsity: float
    unique_values: int


class DataSummary(StrictModel):
    """The data on which a variant was trained and tested."""

    name: str
    #: See `models.reading.facts.DataFacts.training_sha256`.
    sha256: str
    train_images: int
    validation_images: int
    test_images: int


class TrainingSummary(StrictModel):
    """The training as it was done, after `models.schedule` scaled it to the data."""

    method: Literal["train", "prune", "cluster", "quantise", "qat"]
    epochs: int
    #: Optimiser steps in all.
    steps: int


class BuildResult(StrictModel):
    """The result of a `BuildRequest`. It has no times and no paths, so equal builds are equal."""

    schema_version: Literal[1] = 1
    workload: str
    variant: str
    #: The name of the recipe.
    architecture: str
    seed: int
    data: DataSummary
    training: TrainingSummary
    quantise: QuantiseSpec
    #: Top-1 of the float model on the test images, 0..1; with method `qat`, of the model that
    #: simulates int8. None if it classifies nothing.
    float_accuracy: float | None
    #: Top-1 of the float model on the validation images; None if the spec keeps none.
    validation_accuracy: float | None
    #: Trainable and other weights of the float model.
    weight_count: int
    #: Layer -> its kernel, in the order of the layers.
    kernels: dict[str, KernelStats]
    #: What the variant promises of its weights, and what its quantised model was found to have.
    kept: tuple[Kept, ...] = ()
    tflite_sha256: str
    tflite_bytes: int
    #: Of the parent's float weights.
    parent_sha256: str | None
    #: Of its own float weights, from which it was quantised.
    float_sha256: str
    #: Library -> version.
    versions: dict[str, str]


class BuildOrder(StrictModel):
    """Client to builder: make this, there."""

    order: Literal["build"] = "build"
    request: BuildRequest
    out_dir: Path
    #: For temporary files; the client removes it after the build.
    scratch_dir: Path


class SurveyOrder(StrictModel):
    """Client to builder: say what a recipe's network is."""

    order: Literal["survey"] = "survey"
    origin: Origin
    scratch_dir: Path


class DataOrder(StrictModel):
    """Client to builder: go through a recipe's data, and say what it is."""

    order: Literal["data"] = "data"
    origin: Origin
    inputs: tuple[InputSpec, ...]
    #: Where to store the splits; None stores nothing.
    out_dir: Path | None = None
    scratch_dir: Path


class Progress(StrictModel):
    """Builder to client: still at work."""

    event: Literal["progress"] = "progress"
    text: str
    #: Of the whole build, 0..1.
    fraction: float = Field(ge=0, le=1)


class Done(StrictModel):
    """Builder to client: the files are written."""

    event: Literal["done"] = "done"
    result: BuildResult


class Surveyed(StrictModel):
    """Builder to client: what the network is."""

    event: Literal["surveyed"] = "surveyed"
    facts: ModelFacts


class DataSeen(StrictModel):
    """Builder to client: what the data is, and it is stored if that was ordered."""

    event: Literal["data"] = "data"
    facts: DataFacts


class Failed(StrictModel):
    """Builder to client: no files. `kind` names a class of `bench.core.errors`."""

    event: Literal["error"] = "error"
    kind: str
    what: str
    cure: str = ""
    #: Whether nobody expected this failure, so that the log may be needed to understand it.
    unexpected: bool = False


Order = Annotated[BuildOrder | SurveyOrder | DataOrder, Field(discriminator="order")]
Answer = Done | Surveyed | DataSeen | Failed
Message = Annotated[Progress | Answer, Field(discriminator="event")]
_MESSAGE: TypeAdapter[Progress | Answer] = TypeAdapter(Message)
_ORDER: TypeAdapter[BuildOrder | SurveyOrder | DataOrder] = TypeAdapter(Order)


def parse_order(message: bytes) -> BuildOrder | SurveyOrder | DataOrder:
    """The order in the JSON text `message`. Raises pydantic's ValidationError for other text."""
    return _ORDER.validate_json(message)


def parse_message(message: bytes) -> Progress | Answer:
    """The message in the JSON text `message`. Raises pydantic's ValidationError for other text."""
    return _MESSAGE.validate_json(message)
