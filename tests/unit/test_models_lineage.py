"""What a variant promises, and what it may be made from."""

from __future__ import annotations

from typing import Any

import pytest

from bench.plan.config.workloads import TrainedWorkload
from models.lineage import Promise, promised
from models.spec import ClusterSpec, PruneSpec, QatSpec, RequantiseSpec, TrainSpec

USUAL = ("a", "b")
PRUNED = {"a": Promise(sparsity=0.8), "b": Promise(sparsity=0.8)}
BOTH = {name: Promise(sparsity=0.8, values=32) for name in USUAL}


def test_training_promises_nothing() -> None:
    assert promised(TrainSpec(epochs=1), {}, USUAL) == {}


def test_pruning_promises_each_layers_own_share() -> None:
    spec = PruneSpec(sparsity_of={"b": 0.9})
    assert promised(spec, {}, USUAL) == {"a": Promise(sparsity=0.8), "b": Promise(sparsity=0.9)}
    assert promised(PruneSpec(layers=("b",)), {}, USUAL) == {"b": Promise(sparsity=0.8)}
    pattern = promised(PruneSpec(n_of_m=(2, 4)), {}, ("a",))
    assert pattern == {"a": Promise(n_of_m=(2, 4))}


def test_pruning_loses_what_its_parent_shared() -> None:
    clustered = promised(ClusterSpec(), {}, USUAL)
    assert promised(PruneSpec(parent="clustered"), clustered, USUAL) == PRUNED


def test_clustering_keeps_zeros_only_if_told_to() -> None:
    assert promised(ClusterSpec(preserve_sparsity=True), PRUNED, USUAL) == BOTH
    without = promised(ClusterSpec(clusters_of={"a": 8}), PRUNED, USUAL)
    assert without == {"a": Promise(values=8), "b": Promise(values=32)}


@pytest.mark.parametrize(
    ("preserve", "kept"),
    [
        ("none", None),
        ("sparsity", Promise(sparsity=0.8)),
        ("clusters", Promise(values=32)),
        ("both", Promise(sparsity=0.8, values=32)),
    ],
)
def test_quantisation_aware_training_keeps_what_it_preserves(
    preserve: Any, kept: Promise | None
) -> None:
    found = promised(QatSpec(preserve=preserve), BOTH, USUAL)
    assert found == ({} if kept is None else dict.fromkeys(USUAL, kept))


def test_quantising_again_keeps_everything() -> None:
    assert promised(RequantiseSpec(activations="int16"), BOTH, USUAL) == BOTH


BASE: dict[str, Any] = {"base": {"method": "train", "epochs": 1}}
FAMILY = BASE | {
    "pruned": {"method": "prune"},
    "clustered": {"method": "cluster"},
    "channels": {"method": "cluster", "per_channel": True},
    "int16": {"method": "quantise", "activations": "int16"},
    "qat": {"method": "qat"},
}


def workload(variants: dict[str, Any], **more: Any) -> TrainedWorkload:
    return TrainedWorkload.model_validate(
        {"recipe": "mnist_fc", "variants": FAMILY | variants} | more
    )


@pytest.mark.parametrize(
    ("variant", "hint"),
    [
        ({"method": "prune", "parent": "int16"}, "make this variant from 'base'"),
        ({"method": "cluster", "parent": "qat"}, "made by method 'qat'"),
        ({"method": "quantise", "parent": "int16"}, "made by method 'quantise'"),
        ({"method": "cluster", "preserve_sparsity": True}, "'base' promises no zeros"),
        ({"method": "qat", "preserve": "sparsity"}, "'base' promises no zeros"),
        ({"method": "qat", "preserve": "both", "parent": "pruned"}, "promises no shared values"),
        ({"method": "qat", "preserve": "both", "parent": "clustered"}, "promises no zeros"),
        ({"method": "qat", "preserve": "clusters", "parent": "channels"}, "tfmot mixes"),
        ({"method": "quantise", "per_channel": False, "per_channel_dense": True}, "leave out"),
    ],
)
def test_a_variant_that_cannot_be_made_is_refused_at_once(
    variant: dict[str, Any], hint: str
) -> None:
    with pytest.raises(ValueError, match=hint) as caught:
        workload({"odd": variant})
    assert "variants.odd." in str(caught.value)


def test_tfmot_simulates_only_the_usual_quantisation() -> None:
    with pytest.raises(ValueError, match="simulates activations = 'int8' only"):
        workload({}, quantise={"activations": "int16"})


def test_the_chain_of_all_schemes_is_taken() -> None:
    chain = workload(
        {
            "both": {"method": "cluster", "parent": "pruned", "preserve_sparsity": True},
            "pqat": {"method": "qat", "parent": "pruned", "preserve": "sparsity"},
            "cqat": {"method": "qat", "parent": "clustered", "preserve": "clusters"},
            "pcqat": {"method": "qat", "parent": "both", "preserve": "both"},
            "other_order": {"method": "prune", "parent": "clustered"},
        }
    )
    assert chain.lineage("pcqat") == ("pcqat", "both", "pruned", "base")


def test_settings_that_are_new_and_at_their_default_change_no_key() -> None:
    """Otherwise everything accepted before them would count as made in another way."""
    for spec in (PruneSpec(), ClusterSpec()):
        written = spec.model_dump(mode="json")
        assert written.keys().isdisjoint({"layers", "n_of_m", "sparsity_of", "per_channel"})
        assert type(spec).model_validate(written) == spec
    one, two = workload({}), workload({"pruned": {"method": "prune", "n_of_m": [2, 4]}})
    assert one.recipe_sha256("pruned") != two.recipe_sha256("pruned")
    assert one.recipe_sha256("clustered") == two.recipe_sha256("clustered")
