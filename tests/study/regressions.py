"""Changes for the worse, seeded into a project: what training, data, compiler and settings do."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.compiler.installation import BUNDLED_CONFIG
from bench.records.record import Status
from tests.study.case import Regression
from tests.study.networks import base
from tests.study.project import Project

__all__ = ["REGRESSIONS"]


def _edited(before: str, after: str) -> Callable[[Project], None]:
    return lambda project: project.replace(before, after)


def _designed(**decisions: Any) -> Callable[[Project], None]:
    return lambda project: project.model(replace(base(), **decisions))


def _of_training() -> Iterator[Regression]:
    yield Regression(
        "sparsity 80 -> 70 %",
        "trained",
        _edited("final_sparsity = 0.80", "final_sparsity = 0.70"),
        "encoded_weights_kib",
        "cause: training: pruned.final sparsity 0.8 -> 0.7",
    )
    yield Regression(
        "clusters 32 -> 64",
        "trained",
        _edited('parent = "base"\nclusters = 32', 'parent = "base"\nclusters = 64'),
        "encoded_weights_kib",
        "cause: training: clustered.clusters 32 -> 64",
    )
    yield Regression(
        "clustering forgets the zeros of its parent",
        "trained",
        _edited("preserve_sparsity = true", "preserve_sparsity = false"),
        "encoded_weights_kib",
        "cause: training: pruned clustered.preserve sparsity true -> false",
    )
    yield Regression(
        "clustering begins from the wrong parent",
        "trained",
        _edited('parent = "pruned"\npreserve_sparsity = true', 'parent = "base"'),
        "encoded_weights_kib",
        "pruned clustered.parent pruned -> base",
    )
    yield Regression(
        "per-channel Dense",
        "trained",
        _edited("per_channel_dense = false", "per_channel_dense = true"),
        "encoded_weights_kib",
        "cause: quantisation: per channel dense false -> true",
    )
    yield Regression(
        "learning rate 500 times too high",
        "trained",
        _edited("learning_rate = 1e-3", "learning_rate = 0.5"),
        "accuracy",
        "base.learning rate 0.001 -> 0.5",
    )
    yield Regression(
        "training cut short",
        "trained",
        _edited("epochs = 2\nbatch_size = 32", "epochs = 0.03\nbatch_size = 3600"),
        "accuracy",
        "base.epochs 2.0 -> 0.03",
    )
    yield Regression(
        "another network under the same name",
        "trained",
        _edited('recipe = "mnist_fc"', 'recipe = "mnist_ds_cnn"'),
        "npu_cycles",
        "cause: training: architecture mnist_fc -> mnist_ds_cnn",
    )


_MODEL_FILE = "cause: training: file sha256"


def _of_models() -> Iterator[Regression]:
    designs: dict[str, tuple[dict[str, Any], str]] = {
        "weights of a file denser: sparsity 80 -> 40 %": ({"sparsity": 0.4}, "encoded_weights_kib"),
        "weights of a file no longer shared": (
            {"clusters": 0, "sparsity": 0.79},
            "axi1_read_beats",
        ),
        "one layer doubled": ({"layers": 3}, "macs"),
        "16 -> 17 channels": ({"channels": 17}, "npu_cycles"),
        "16 -> 17 channels, seen in SRAM": ({"channels": 17}, "sram_kib"),
        "stride 2 -> 1": ({"stride": 1}, "npu_cycles"),
        "depthwise convolutions became full ones": ({"separable": False}, "macs"),
        "a wide layer became wider": ({"wide": 160}, "flash_kib"),
        "activations of 16 bits": ({"dtype": "int16"}, "npu_cycles"),
        "an operator that falls back to the CPU": ({"on_cpu": "first"}, "cpu_operators"),
        "what fell back is no gain in cycles": ({"on_cpu": "alone"}, "npu_cycles"),
        "quantisation range broken": ({"cut": 16.0}, "accuracy"),
        "last layer stored without its weights": ({"dead": True}, "accuracy"),
        "weights of another training": ({"seed": 8}, "accuracy"),
    }
    for name, (decisions, metric) in designs.items():
        yield Regression(name, "files", _designed(**decisions), metric, _MODEL_FILE)
    yield Regression(
        "weights grow until the network waits for flash",
        "files",
        _designed(sparsity=0.0),
        "memory_wait_share",
        "encoded weights",
    )


def _shuffled(project: Project) -> None:
    inputs, labels = project.test_set
    project.data(inputs, np.roll(labels, 1))


def _scaled(project: Project) -> None:
    inputs, labels = project.test_set
    project.data(inputs / 8, labels)


def _mirrored(project: Project) -> None:
    inputs, labels = project.test_set
    project.data(inputs[..., ::-1].copy(), labels)


def _shortened(project: Project) -> None:
    inputs, labels = project.test_set
    project.data(inputs[:5], labels[:5])


def _unlabelled(project: Project) -> None:
    project.replace('dataset = "net.npz"\n', "")


_TEST_SET = "cause: data: "


def _of_data() -> Iterator[Regression]:
    yield Regression("labels shuffled", "files", _shuffled, "accuracy", _TEST_SET)
    yield Regression("input normalised wrongly", "files", _scaled, "accuracy", _TEST_SET)
    yield Regression("channels of the input swapped", "files", _mirrored, "accuracy", _TEST_SET)
    yield Regression(
        "test set cut to five samples, all of them right",
        "files",
        _shortened,
        "accuracy",
        _TEST_SET,
        Status.INCOMPLETE,
    )
    yield Regression("test set left out", "files", _unlabelled, "accuracy", "has lost its figure")


def _vela_ini(project: Project, before: str, after: str) -> None:
    package = importlib.util.find_spec("ethosu")
    assert package is not None
    assert package.submodule_search_locations
    place = Path(package.submodule_search_locations[0]) / "config_files" / BUNDLED_CONFIG
    text = place.read_text(encoding="utf-8")
    assert before in text
    (project.directory / "vela.ini").write_text(text.replace(before, after), encoding="utf-8")
    project.replace("[vela]\n", '[vela]\nconfig_file = "vela.ini"\n')


def _constants_in_sram(project: Project) -> None:
    """What the name Shared_Sram stands for is changed."""
    section = "[Memory_Mode.Shared_Sram]\nconst_mem_area=Axi"
    _vela_ini(project, f"{section}1", f"{section}0")


def _of_the_compiler() -> Iterator[Regression]:
    yield Regression(
        "Vela told to save memory instead of time",
        "files",
        _edited('optimise = "Performance"', 'optimise = "Size"'),
        "npu_cycles",
        "cause: Vela: options --optimise Performance -> --optimise Size",
    )
    yield Regression(
        "arena cache shrunk",
        "files",
        _edited("[vela]\n", "[vela]\narena_cache_kib = 1\n"),
        "npu_cycles",
        "cause: Vela: options none -> --arena-cache-size 1024",
    )
    yield Regression(
        "memory mode redefined: constants in SRAM",
        "files",
        _constants_in_sram,
        "npu_cycles",
        "cause: Vela: config sha256",
    )
    yield Regression(
        "memory mode changed in the grid",
        "files",
        _edited('memory_modes = ["Shared_Sram"]', 'memory_modes = ["Sram_Only"]'),
        "npu_cycles",
        "has no figures of this cell",
        Status.NO_BASELINE,
    )
    yield Regression(
        "an accelerator exchanged in the grid",
        "files",
        _edited("macs = [32, 128]", "macs = [32, 64]"),
        "npu_cycles",
        "has no figures of this cell",
        Status.NO_BASELINE,
    )
    yield Regression(
        "tensors of the CPU aligned to 4 KiB",
        "files",
        _edited("[vela]\n", "[vela]\ncpu_tensor_alignment = 4096\n"),
        "sram_kib",
        "cause: Vela: options none -> --cpu-tensor-alignment 4096",
    )


def _of_the_memories() -> Iterator[Regression]:
    profile = "cause: timing profile: sha256"
    yield Regression(
        "slower flash",
        "files",
        _edited("pulse_off = 80\nbwcap = 50", "pulse_off = 80\nbwcap = 25"),
        "npu_cycles",
        profile,
    )
    yield Regression(
        "slower flash, seen as waiting",
        "files",
        _edited("pulse_off = 80\nbwcap = 50", "pulse_off = 80\nbwcap = 25"),
        "memory_wait_share",
        "waits",
    )
    yield Regression(
        "flash with a longer latency",
        "files",
        _edited("rlatency = 64", "rlatency = 400"),
        "npu_cycles",
        profile,
    )
    yield Regression(
        "SRAM with a longer latency",
        "files",
        _edited("rlatency = 32", "rlatency = 400"),
        "npu_cycles",
        profile,
    )
    yield Regression(
        "SRAM that answers one request at a time",
        "files",
        _edited("[timing.mine.sram]\nmaxr = 8", "[timing.mine.sram]\nmaxr = 1"),
        "inference_ms",
        profile,
    )


#: All of them, in the order of the chain.
REGRESSIONS = (
    *_of_data(),
    *_of_training(),
    *_of_models(),
    *_of_the_compiler(),
    *_of_the_memories(),
)
