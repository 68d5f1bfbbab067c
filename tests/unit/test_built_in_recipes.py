"""The recipes that come with the bench: their data, its pins, and what a configuration may say."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bench.core.errors import ConfigError, ModelError, PrerequisiteError
from bench.measuring.recipes import built_in
from bench.plan.config import TrainedWorkload, load_config
from models.data import FULL, SUBSET
from models.packaged import PackagedFile
from models.recipes import (
    BUILT_IN,
    FOR_USERS_DATA,
    OF_MNIST,
    lfw_faces,
    recipe_module,
    watch_activity,
)

PACKAGED = {"watch_activity": watch_activity, "lfw_faces": lfw_faces}


@pytest.fixture(scope="module")
def watch() -> Mapping[str, Any]:
    return watch_activity.data()


@pytest.fixture(scope="module")
def series() -> Mapping[str, Any]:
    """The watch data as `seglearn` gives it to its own users."""
    found: Mapping[str, Any] = np.load(
        io.BytesIO(watch_activity.SOURCE.read()), allow_pickle=True
    ).item()
    return found


def whose(window: np.ndarray, series: Mapping[str, Any]) -> set[int]:
    """The people in whose series `window`, `[100, 6]`, is."""
    real = window * np.array([1, 1, 1, 4, 4, 4])
    return {
        int(subject)
        for one, subject in zip(series["X"], series["subject"], strict=True)
        for at in np.flatnonzero(np.isclose(one[: 1 - len(window), 0], real[0, 0], atol=1e-6))
        if np.allclose(one[at : at + len(window)], real, atol=1e-5)
    }


def test_no_person_is_in_both_splits(watch: Mapping[str, Any], series: Mapping[str, Any]) -> None:
    """Found again in the raw data, whatever the recipe believes."""
    people: dict[str, set[int]] = {}
    for split, (windows, _) in watch.items():
        # Some of each range: the order is one window of every series in turn.
        found = [whose(window, series) for window in windows[:: len(windows) // 150]]
        assert all(len(one) == 1 for one in found)
        people[split] = set().union(*found)
    assert people == {"train": {1, 2, 3, 4, 5, 6, 7}, "test": {8, 9, 10}}


def test_windows_have_the_exercise_of_their_series(
    watch: Mapping[str, Any], series: Mapping[str, Any]
) -> None:
    windows, labels = watch["test"]
    tests = np.flatnonzero(np.isin(series["subject"], watch_activity.TEST_SUBJECTS))
    # The first windows are the beginnings of the series.
    for row, index in enumerate(tests):
        np.testing.assert_allclose(windows[row, :, :3], series["X"][index][:100, :3], atol=1e-6)
        assert labels[row] == series["y"][index]
    assert sum((len(series["X"][index]) - 100) // 50 + 1 for index in tests) == len(windows)


@pytest.mark.parametrize(
    ("name", "row", "classes", "samples"),
    [
        ("watch_activity", (100, 6), 7, {"train": 3193, "test": 1484}),
        ("lfw_faces", (25, 25), 2, {"train": 150, "test": 50}),
    ],
)
def test_data_is_what_its_network_takes_and_the_same_each_time(
    name: str, row: tuple[int, ...], classes: int, samples: dict[str, int]
) -> None:
    first, second = (PACKAGED[name].data() for _ in range(2))
    assert {split: len(labels) for split, (_, labels) in first.items()} == samples
    for split, (inputs, labels) in first.items():
        assert inputs.shape == (len(labels), *row)
        assert inputs.dtype == np.float32
        assert labels.dtype == np.int64
        assert np.isfinite(inputs).all()
        # Every tenth of it has every class: calibration takes the first, validation the last.
        for part in np.array_split(labels, 10 if split == "train" else 1):
            assert set(part) == set(range(classes))
        for kind in (0, 1):
            np.testing.assert_array_equal(first[split][kind], second[split][kind])


def test_faces_are_labelled_and_no_image_is_in_both_splits() -> None:
    raw = np.load(io.BytesIO(lfw_faces.SOURCE.read())).astype(np.float32)
    faces = {image.tobytes() for image in raw[:100]}
    seen: dict[str, set[bytes]] = {}
    for split, (images, labels) in lfw_faces.data().items():
        seen[split] = {image.tobytes() for image in images}
        for image, label in zip(images, labels, strict=True):
            assert (image.tobytes() in faces) == bool(label)
    assert not seen["train"] & seen["test"]
    assert seen["train"] | seen["test"] == {image.tobytes() for image in raw}


@pytest.mark.parametrize("name", PACKAGED)
def test_data_is_read_without_the_code_of_its_package(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be older than the libraries that are installed."""
    for package in ("seglearn", "skimage", "sklearn"):
        monkeypatch.setitem(sys.modules, package, None)
    assert PACKAGED[name].data()


@pytest.mark.parametrize("module", PACKAGED.values(), ids=PACKAGED)
def test_a_missing_package_is_an_error_with_a_cure(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = replace(module.SOURCE, distribution="not-installed-here")
    monkeypatch.setattr(module, "SOURCE", absent)
    with pytest.raises(PrerequisiteError, match="not-installed-here, which is not") as caught:
        module.data()
    assert caught.value.cure == 'pip install "ethos-u55-bench[data]"'


def test_another_file_is_not_taken_for_the_data() -> None:
    other = PackagedFile("seglearn", "seglearn/__init__.py", watch_activity.SOURCE.sha256)
    with pytest.raises(ModelError, match="has the sha256"):
        other.read()
    with pytest.raises(PrerequisiteError, match="cannot be read"):
        replace(other, path="seglearn/none.npy").read()


def test_the_name_of_the_data_changes_with_its_file() -> None:
    source = watch_activity.SOURCE
    assert watch_activity.data_name == source.named("watch_seglearn") == "watch_seglearn_eb122f23"
    assert replace(source, sha256="0" * 64).named("watch_seglearn") != watch_activity.data_name


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_recipe_has_data_or_takes_the_user_s(name: str) -> None:
    module = recipe_module(name)
    assert module is not None
    assert callable(module.model)
    assert hasattr(module, "data") == (name not in FOR_USERS_DATA)


def test_data_is_told_apart_by_name() -> None:
    def known(name: str, **settings: Any) -> tuple[str, dict[str, Any]]:
        surveyed = built_in(TrainedWorkload(recipe=name, **settings), FULL)
        return surveyed.training_data, dict(surveyed.origin.options)

    for name in OF_MNIST:
        assert known(name) == (FULL.name, {"mnist": FULL.name})
    # What the workload says wins, in the name too.
    assert known("mnist_fc", options={"mnist": SUBSET.name})[0] == SUBSET.name
    assert known("watch_activity") == (watch_activity.data_name, {})
    assert known("lfw_faces") == (lfw_faces.data_name, {})


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('recipe = "ds_cnn_kws"', "data: the recipe 'ds_cnn_kws' is a network alone"),
        ('recipe = "resnet8"\nkeras = "m.keras"\ndata = "d.npz"', "keras: the recipe 'resnet8'"),
        (
            'recipe = "lfw_faces"\ndata = "d.npz"',
            "data: the recipe 'lfw_faces' has data of its own",
        ),
        ('recipe = "resnet9"', "resnet8"),
    ],
)
def test_what_does_not_fit_a_built_in_recipe_is_refused(
    tmp_path: Path, lines: str, told: str
) -> None:
    file = tmp_path / "bench.toml"
    file.write_text(f"[workloads.w]\n{lines}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        load_config(file)


def test_a_network_takes_the_user_s_archive(tmp_path: Path) -> None:
    file = tmp_path / "bench.toml"
    file.write_text('[workloads.w]\nrecipe = "ds_cnn_kws"\ndata = "d.npz"\n', encoding="utf-8")
    workload = load_config(file).workloads["w"]
    assert isinstance(workload, TrainedWorkload)
    assert workload.is_users
    assert not workload.is_file
    assert workload.data == tmp_path / "d.npz"
