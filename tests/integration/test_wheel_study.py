"""The whole study on somebody's own network, by an installed bench, in somebody's repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.records.run_directory import RunDirectory
from tests.support.installed import (
    InstalledBench,
    build_wheel,
    install_with_links,
    new_environment,
)
from tests.support.models.own_layers import LAYERS

#: Fifteen lines at most, with data and a layer of one's own.
RECIPE = """
import numpy as np
import tensorflow as tf
from models.layers import Scale

def model():
    x = inputs = tf.keras.Input((16,), name="features")
    x = tf.keras.layers.Dense(64, activation="relu", name="hidden")(Scale(name="scale")(x))
    return tf.keras.Model(inputs, tf.keras.layers.Dense(4, activation="softmax", name="out")(x))

def data():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 4, 1200)
    x = rng.normal(size=(1200, 16)).astype("float32") + np.eye(4)[y].repeat(4, axis=1) * 3
    return {"train": (x[:1000], y[:1000]), "test": (x[1000:], y[1000:])}
"""

CONFIG = """
[grid]
macs = [32, 128]
memory_modes = ["Shared_Sram"]

[workloads.own]
recipe = "recipes/own.py"

[workloads.own.variants]
base = { method = "train", epochs = 6 }
pruned = { method = "prune" }
clustered = { method = "cluster", clusters = 16 }
both = { method = "cluster", parent = "pruned", preserve_sparsity = true, clusters = 16 }
qat = { method = "qat", epochs = 2 }
pcqat = { method = "qat", parent = "both", preserve = "both", epochs = 2 }
int16 = { method = "quantise", activations = "int16" }

[[workloads.own.limits]]
metric = "accuracy"
min = 0.85

[[workloads.own.limits]]
metric = "encoded_weights_kib"
variants = ["pruned", "both", "pcqat"]
max_ratio_to_base = 0.9
"""


@pytest.mark.long
def test_every_way_to_compress_a_network_of_one_s_own(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    assert len([line for line in RECIPE.splitlines() if line.strip()]) <= 15
    directory = tmp_path_factory.mktemp("environment")
    bench = InstalledBench(directory / "venv", directory / "cache")
    new_environment(bench.environment)
    install_with_links(build_wheel(directory), bench, "train")
    for name in ("models", "targets", "bench", "tests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "models" / "layers.py").write_text(LAYERS, encoding="utf-8")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "own.py").write_text(RECIPE, encoding="utf-8")
    (tmp_path / "bench.toml").write_text(CONFIG, encoding="utf-8")
    done = bench.run(tmp_path, "bench", "run", "-n", "2")
    assert done.returncode == 0, done.stdout
    assert "14 of 14 planned cells measured" in done.stdout
    assert not re.search(r"\d+ failed", done.stdout)
    records = RunDirectory((tmp_path / "results" / "latest").resolve()).records()
    assert not records.unreadable
    by_variant = {record.cell.variant: record for record in records.found}
    assert len(by_variant) == 7
    assert by_variant["int16"].model.provenance["quantise.activations"] == "int16"
    assert by_variant["pcqat"].model.provenance["pcqat.preserve"] == "both"
