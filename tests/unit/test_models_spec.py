from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from models.messages import BuildRequest
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

ADAPTER: TypeAdapter[TrainSpec | DerivedSpec] = TypeAdapter(VariantSpec)


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        ({"method": "train", "epochs": 4}, TrainSpec),
        ({"method": "prune"}, PruneSpec),
        ({"method": "prune", "n_of_m": [2, 4], "layers": ["dense_1"]}, PruneSpec),
        ({"method": "prune", "schedule": "constant", "sparsity_of": {"a": 0.9}}, PruneSpec),
        ({"method": "prune", "block_size": [4, 4], "block_pooling": "max"}, PruneSpec),
        ({"method": "cluster", "parent": "pruned", "preserve_sparsity": True}, ClusterSpec),
        ({"method": "cluster", "per_channel": True, "clusters_of": {"conv": 8}}, ClusterSpec),
        ({"method": "quantise", "activations": "int16"}, RequantiseSpec),
        ({"method": "qat", "parent": "pruned", "preserve": "sparsity"}, QatSpec),
    ],
)
def test_method_selects_the_spec_and_it_survives_json(table: dict[str, Any], kind: type) -> None:
    spec = ADAPTER.validate_python(table)
    assert type(spec) is kind
    assert ADAPTER.validate_json(ADAPTER.dump_json(spec)) == spec


@pytest.mark.parametrize(
    ("table", "hint"),
    [
        ({"method": "train", "epochs": -1}, "epochs"),
        ({"method": "train", "epochs": 4, "validation_split": 1.0}, "validation_split"),
        ({"method": "train", "epochs": 4, "epoch": 5}, "did you mean 'epochs'"),
        ({"method": "train", "epochs": 4, "parent": "base"}, "unknown key 'parent'"),
        ({"method": "prune", "final_sparsity": 1.0}, "final_sparsity"),
        ({"method": "prune", "initial_sparsity": 0.0}, "initial_sparsity"),
        ({"method": "prune", "initial_sparsity": 0.9}, "below initial_sparsity 0.9"),
        ({"method": "cluster", "clusters": 1}, "clusters"),
        ({"method": "cluster", "clusters": 257}, "clusters"),
        ({"method": "cluster", "clusters": 2, "preserve_sparsity": True}, "at least 3"),
        ({"method": "cluster", "initialisation": "random"}, "initialisation"),
        ({"method": "cluster", "learning_rate": -1e-5}, "learning_rate"),
        ({"method": "distil"}, "'train', 'prune', 'cluster'"),
        ({"method": "prune", "n_of_m": [4, 4]}, "how many of how many"),
        ({"method": "prune", "n_of_m": [2, 4], "final_sparsity": 0.9}, "leave out final_sparsity"),
        ({"method": "prune", "n_of_m": [2, 4], "block_size": [4, 1]}, "leave out block_size"),
        ({"method": "prune", "block_size": [0, 4]}, "at least 1 weight"),
        ({"method": "prune", "schedule": "constant", "initial_sparsity": 0.6}, "no initial_spars"),
        ({"method": "prune", "layers": []}, "layers"),
        ({"method": "prune", "layers": ["a"], "sparsity_of": {"b": 0.5}}, "'b' is not among"),
        ({"method": "prune", "sparsity_of": {"a": 1.0}}, "sparsity_of"),
        ({"method": "cluster", "layers": ["a"], "clusters_of": {"b": 8}}, "'b' is not among"),
        (
            {"method": "cluster", "clusters_of": {"a": 2}, "preserve_sparsity": True},
            "at least 3",
        ),
        ({"method": "quantise", "epochs": 2}, "unknown key 'epochs'"),
        ({"method": "quantise", "activations": "int4"}, "activations"),
        ({"method": "qat", "preserve": "all"}, "preserve"),
    ],
)
def test_a_wrong_table_is_refused_by_name(table: dict[str, Any], hint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ADAPTER.validate_python(table)
    assert hint in str(caught.value)


@pytest.mark.parametrize("images", [0, 4001])
def test_calibration_needs_images_that_every_data_set_has(images: int) -> None:
    with pytest.raises(ValidationError, match="calibration_images"):
        QuantiseSpec(calibration_images=images)


def request(**changes: Any) -> BuildRequest:
    fields = {
        "workload": "mnist_fc",
        "variant": "pruned",
        "origin": {"name": "mnist_fc"},
        "spec": PruneSpec(),
        "data": {"name": "some", "sha256": "", "files": {"train": "train.npz"}},
        "parent_dir": "somewhere",
    }
    return BuildRequest.model_validate(fields | changes)


def test_a_request_survives_the_way_to_the_builder() -> None:
    assert BuildRequest.model_validate_json(request().model_dump_json()) == request()


def test_a_compressed_variant_needs_its_parents_directory() -> None:
    with pytest.raises(ValidationError, match="made from 'base'"):
        request(parent_dir=None)


def test_a_variant_trained_from_scratch_takes_no_parent() -> None:
    with pytest.raises(ValidationError, match="no parent"):
        request(spec=TrainSpec(epochs=1))
