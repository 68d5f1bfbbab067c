"""The built-in workloads' variants on the 5,000-image subset, built once in a test run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from models.messages import BuildRequest, BuildResult, Progress
from models.service import VariantBuilder
from models.spec import ClusterSpec, PruneSpec, TrainSpec
from tests.support.models.recipes import built_in, stored_mnist

__all__ = [
    "AGAIN",
    "DS_CNN",
    "FC",
    "QUICK",
    "Built",
    "mnist_ds_cnn",
    "mnist_fc",
    "read_back",
    "used",
]

Spec = TrainSpec | PruneSpec | ClusterSpec

FC: Mapping[str, Spec] = {
    "base": TrainSpec(epochs=4),
    "pruned": PruneSpec(),
    "clustered": ClusterSpec(),
    "pruned_clustered": ClusterSpec(parent="pruned", preserve_sparsity=True),
}
#: Compressed in an epoch each: structure and quantisation are tested here; how much accuracy
#: compression keeps, in the main job.
DS_CNN: Mapping[str, Spec] = {
    "base": TrainSpec(epochs=1, learning_rate=5e-3, decay="cosine"),
    "pruned": PruneSpec(
        epochs=0.25, batch_size=32, learning_rate=5e-3, decay="cosine", final_sparsity=0.75
    ),
    "clustered": ClusterSpec(epochs=0.25, batch_size=100),
    "pruned_clustered": ClusterSpec(
        epochs=0.25, batch_size=100, parent="pruned", preserve_sparsity=True
    ),
}
#: What is built twice, to compare.
AGAIN = {name: FC[name] for name in ("base", "pruned", "pruned_clustered")}
#: What is built with each of two seeds, to compare.
QUICK: Mapping[str, Spec] = {"base": TrainSpec(epochs=0.25)}


@dataclass(frozen=True)
class Built:
    directory: Path
    result: BuildResult

    @property
    def model(self) -> Path:
        return self.directory / "model.tflite"

    @property
    def accuracy(self) -> float:
        """Of the float model, on the test images."""
        assert self.result.float_accuracy is not None
        return self.result.float_accuracy


def build_all(
    builder: VariantBuilder,
    architecture: str,
    specs: Mapping[str, Spec],
    root: Path,
    seed: int = 0,
) -> dict[str, Built]:
    built: dict[str, Built] = {}
    data = stored_mnist(root / "data")
    for variant, spec in specs.items():
        out_dir = root / f"{architecture}-{variant}"
        out_dir.mkdir(parents=True)
        parent = None if isinstance(spec, TrainSpec) else built[spec.parent].directory
        request = BuildRequest(
            workload=architecture,
            variant=variant,
            origin=built_in(architecture),
            spec=spec,
            seed=seed,
            data=data,
            parent_dir=parent,
        )
        fractions: list[float] = []
        texts: list[str] = []

        def note(
            progress: Progress, fractions: list[float] = fractions, texts: list[str] = texts
        ) -> None:
            fractions.append(progress.fraction)
            texts.append(progress.text)

        result = builder.build(request, out_dir, note)
        assert fractions == sorted(fractions)
        assert f"epoch {result.training.epochs}/{result.training.epochs}" in texts
        built[variant] = Built(out_dir, result)
    return built


def read_back(root: Path, architecture: str, specs: Iterable[str]) -> dict[str, Built]:
    directories = {variant: root / f"{architecture}-{variant}" for variant in specs}
    return {
        variant: Built(
            directory,
            BuildResult.model_validate_json((directory / "build.json").read_bytes()),
        )
        for variant, directory in directories.items()
    }


def once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """A directory that `build` has filled, in whichever of this run's processes came first."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    directory, complete = shared / name, shared / f"{name}.complete"
    with FileLock(shared / f"{name}.lock"):
        if not complete.exists():
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            build(directory)
            complete.touch()
    return directory


@pytest.fixture(scope="module")
def mnist_fc(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    """Built in a fresh process."""
    return read_back(once(tmp_path_factory, "fresh", build_fresh), "mnist_fc", FC)


def build_fresh(root: Path) -> None:
    with VariantBuilder() as builder:
        build_all(builder, "mnist_fc", FC, root)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All built in one process: `mnist_ds_cnn`, then parts of `mnist_fc` on a single core."""
    return once(tmp_path_factory, "used", build_used)


def build_used(root: Path) -> None:
    with VariantBuilder() as builder:
        build_all(builder, "mnist_ds_cnn", DS_CNN, root)
        assert builder.pid is not None
        one_core = {min(os.sched_getaffinity(0))}
        for thread in Path(f"/proc/{builder.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), one_core)
        for seed in (0, 1):
            build_all(builder, "mnist_fc", QUICK, root / f"seed_{seed}", seed)
        build_all(builder, "mnist_fc", AGAIN, root)


@pytest.fixture(scope="module")
def mnist_ds_cnn(used: Path) -> dict[str, Built]:
    return read_back(used, "mnist_ds_cnn", DS_CNN)
