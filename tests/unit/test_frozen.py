"""Frozen variants in the configuration: what may be combined, and what is noticed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from bench.assembly.repeating import Variation, variation_of, with_seeds
from bench.cache import ArtefactCache
from bench.core.errors import BenchError, ConfigError
from bench.measuring.frozen import check_frozen_variants
from bench.measuring.inputs import keep_inputs
from bench.measuring.sources import frozen_model
from bench.plan.config import BenchConfig, TrainedWorkload, parse_config
from bench.plan.grid import make_plan
from targets.protocol import Source
from tests.support.models.tflite_factory import mlp

VARIANTS = """
[workloads.net]
recipe = "mnist_fc"
seed = 3
[workloads.net.variants]
base = { method = "train", epochs = 1 }
pruned = { method = "prune", parent = "base", epochs = 1 }
both = { method = "cluster", parent = "pruned", epochs = 1 }
"""
MODEL = mlp([np.ones((16, 64), np.int8), np.ones((4, 16), np.int8)])


def pinned(*variants: str, sha256: str | None = None, recipe: str = "") -> str:
    digest = sha256 or hashlib.sha256(MODEL).hexdigest()
    lines = [
        f'{v} = {{ model = "frozen/{v}.tflite", sha256 = "{digest}", recipe = "{recipe}" }}'
        for v in variants
    ]
    return VARIANTS + "[workloads.net.frozen]\n" + "\n".join(lines) + "\n"


def recipe_of(variant: str, text: str = VARIANTS) -> str:
    workload = parse_config(text, Path("bench.toml")).workloads["net"]
    assert isinstance(workload, TrainedWorkload)
    return workload.recipe_sha256(variant)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "frozen").mkdir()
    for variant in ("base", "pruned", "both"):
        (tmp_path / "frozen" / f"{variant}.tflite").write_bytes(MODEL)
    return tmp_path / "bench.toml"


def checked(text: str, path: Path) -> BenchConfig:
    config = parse_config(text, path)
    check_frozen_variants(config, path, {"net"})
    return config


def test_a_frozen_variant_is_the_file_and_its_record_says_so(place: Path) -> None:
    recipe = recipe_of("both")
    config = checked(pinned("both", recipe=recipe), place)
    workload = config.workloads["net"]
    assert isinstance(workload, TrainedWorkload)
    record = frozen_model(workload, "both", workload.frozen["both"]).record
    assert record.origin == "frozen"
    assert record.sha256 == hashlib.sha256(MODEL).hexdigest()
    known = record.provenance
    assert (known["frozen"], known["seed"]) == ("both.tflite", "3")
    assert known["pruned.final_sparsity"] == "0.8"


def test_nothing_is_claimed_of_a_model_from_elsewhere(place: Path) -> None:
    workload = checked(pinned("both"), place).workloads["net"]
    assert isinstance(workload, TrainedWorkload)
    record = frozen_model(workload, "both", workload.frozen["both"]).record
    assert record.provenance == {"frozen": "both.tflite"}


def test_a_file_that_is_another_model_is_named_with_key_hashes_and_cure(place: Path) -> None:
    file = place.parent / "frozen" / "both.tflite"
    other = mlp([np.ones((8, 64), np.int8), np.ones((4, 8), np.int8)])
    file.write_bytes(other)
    with pytest.raises(ConfigError) as refused:
        checked(pinned("both"), place)
    said = str(refused.value)
    hashes = (hashlib.sha256(data).hexdigest() for data in (MODEL, other))
    for part in ("workloads.net.frozen.both", str(file), *hashes, "bench freeze net"):
        assert part in said


@pytest.mark.parametrize("damage", ["missing", "directory", "no model"])
def test_a_file_that_is_no_model_is_named_with_its_key(place: Path, damage: str) -> None:
    file = place.parent / "frozen" / "both.tflite"
    file.unlink()
    digest = None
    if damage == "directory":
        file.mkdir()
    if damage == "no model":
        file.write_bytes(b"x" * 100)
        digest = hashlib.sha256(b"x" * 100).hexdigest()
    with pytest.raises(BenchError, match=r"workloads\.net\.frozen\.both\.model"):
        checked(pinned("both", sha256=digest), place)


@pytest.mark.parametrize(
    ("old", "new"),
    [("seed = 3", "seed = 4"), ('parent = "base", epochs = 1', 'parent = "base", epochs = 2')],
)
def test_a_recipe_that_was_changed_would_have_no_effect_and_is_refused(
    place: Path, old: str, new: str
) -> None:
    text = pinned("both", recipe=recipe_of("both"))
    checked(text, place)
    with pytest.raises(ConfigError, match=r"frozen\.both\.recipe: .* the settings of 'both'"):
        checked(text.replace(old, new), place)


def test_what_does_not_make_a_variant_is_not_in_its_recipe() -> None:
    assert recipe_of("base") == recipe_of("base", VARIANTS.replace("prune", "prune", 1) + "\n")
    without = VARIANTS.replace('pruned = { method = "prune", parent = "base", epochs = 1 }', "")
    without = without.replace('parent = "pruned"', 'parent = "base"')
    assert recipe_of("base") == recipe_of("base", without)
    assert recipe_of("both") != recipe_of("both", without)
    stated = VARIANTS.replace("epochs = 1 }", "epochs = 1, batch_size = 32 }", 1)
    assert recipe_of("base") == recipe_of("base", stated)


def test_a_variant_cannot_be_trained_from_a_frozen_one() -> None:
    refused: tuple[tuple[str, ...], ...] = (("base",), ("pruned",), ("base", "pruned"))
    taken: tuple[tuple[str, ...], ...] = (("both",), ("pruned", "both"), ("base", "pruned", "both"))
    for variants in refused:
        with pytest.raises(ConfigError, match="is made from it, and a frozen model has no float"):
            parse_config(pinned(*variants), Path("bench.toml"))
    for variants in taken:
        parse_config(pinned(*variants), Path("bench.toml"))
    # What is not in the grid is not trained.
    parse_config('[grid]\nvariants = ["base"]\n' + pinned("base"), Path("bench.toml"))


def test_an_unknown_variant_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="frozen: unknown variant 'bsae'; did you mean 'base'"):
        parse_config(pinned("bsae"), Path("bench.toml"))


def test_the_run_reads_a_copy_that_nobody_changes(place: Path, tmp_path: Path) -> None:
    config = parse_config(pinned("both"), place)
    found = check_frozen_variants(config, place, {"net"})
    kept = keep_inputs(config, found, ArtefactCache(tmp_path / "cache"))
    workload = kept.workloads["net"]
    assert isinstance(workload, TrainedWorkload)
    copy = workload.frozen["both"].model
    assert (tmp_path / "cache") in copy.parents
    assert copy.read_bytes() == MODEL


def test_what_varies_is_the_training_or_the_target_or_nothing(place: Path) -> None:
    config = parse_config(pinned("both") + '[workloads]\nfile = "frozen/both.tflite"\n', place)
    cells = {cell.family: cell for cell in make_plan(config).cells}
    expected = {
        ("net-base", Source.SIMULATED): Variation.SEED,
        ("net-base", Source.BOARD): Variation.SEED,
        ("net-both", Source.ESTIMATE): Variation.NOTHING,
        ("net-both", Source.FVP): Variation.TARGET,
        ("file-base", Source.SIMULATED): Variation.NOTHING,
        ("file-base", Source.BOARD): Variation.TARGET,
    }
    for (family, source), variation in expected.items():
        assert variation_of(config, cells[family], source) is variation


def test_other_seeds_are_valid_and_differ() -> None:
    config = parse_config(VARIANTS.replace("seed = 3", f"seed = {2**32 - 2}"), Path("bench.toml"))
    seeds = [getattr(with_seeds(config, n).workloads["net"], "seed") for n in range(4)]  # noqa: B009
    assert seeds == [2**32 - 2, 2**32 - 1, 0, 1]
