"""Wrong input: each one clear error that names the file and the key, and nothing is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.bench_runs import QUICK, BenchRunner
from tests.support.models.tflite_factory import Op, Tensor, fully_connected, single_operator


def _add_model(name: str) -> str:
    return QUICK + f'\n[workloads.mine]\nmodel = "{name}"\n'


def _write_truncated(directory: Path) -> None:
    content = fully_connected(np.ones((10, 64), np.int8))
    (directory / "mine.tflite").write_bytes(content[: len(content) * 2 // 3])


def _write_float(directory: Path) -> None:
    tensors = [Tensor(name, (1, 8), "float32") for name in ("input", "output")]
    model = single_operator(Op("TANH", (0,), (1,)), tensors[:1], tensors[1:])
    (directory / "mine.tflite").write_bytes(model)


def _write_text(directory: Path) -> None:
    (directory / "mine.tflite").write_text("this is not a model", encoding="utf-8")


def _write_nothing(directory: Path) -> None:
    """The file is missing."""


def _write_unlabelled(directory: Path) -> None:
    (directory / "mine.tflite").write_bytes(fully_connected(np.ones((10, 64), np.int8)))
    np.savez(directory / "mine.npz", inputs=np.zeros((3, 64), np.int8))


CASES: dict[str, tuple[str, Callable[[Path], None], list[str]]] = {
    "truncated": (_add_model("mine.tflite"), _write_truncated, ["workloads.mine.model", "damaged"]),
    "float": (_add_model("mine.tflite"), _write_float, ["workloads.mine.model", "float model"]),
    "not_tflite": (
        _add_model("mine.tflite"),
        _write_text,
        ["workloads.mine.model", "not a TFLite model"],
    ),
    "missing": (
        _add_model("mine.tflite"),
        _write_nothing,
        ["workloads.mine.model", "No such file"],
    ),
    "unknown_variant": (
        QUICK.replace('order = ["pruned_clustered"', 'order = ["prunned"'),
        _write_nothing,
        ["workloads.quick", "unknown variant 'prunned'", "did you mean 'pruned'"],
    ),
    "misspelt_key": (
        QUICK.replace("epochs = 1, batch_size = 128", "epohs = 1, batch_size = 128"),
        _write_nothing,
        ["workloads.quick.variants.base", "unknown key 'epohs'", "did you mean 'epochs'"],
    ),
    "wrong_type": (
        QUICK.replace("macs = [32, 256]", "macs = [32, 100]"),
        _write_nothing,
        ["grid.macs", "256"],
    ),
    "not_toml": (QUICK.replace("[grid]", "[grid"), _write_nothing, ["not valid TOML"]),
    "unknown_target": (
        QUICK.replace('targets = ["vela"]', 'targets = ["vella"]'),
        _write_nothing,
        ["grid.targets", "unknown target 'vella'", "did you mean 'vela'"],
    ),
    "bad_url": (
        QUICK + '\n[workloads.mine]\nurl = "https://example.org/m.tflite"\n',
        _write_nothing,
        ["workloads.mine", "`url` needs `sha256`"],
    ),
    "dead_limit": (
        _add_model("mine.tflite")
        + '[[workloads.mine.limits]]\nmetric = "npu_cycles"\nmacs = [64]\nmax = 1\n',
        _write_nothing,
        ["workloads.mine.limits[0].macs", "64 is not in grid.macs"],
    ),
    "limit_without_labels": (
        _add_model("mine.tflite")
        + 'dataset = "mine.npz"\n[[workloads.mine.limits]]\nmetric = "accuracy"\nmin = 0.5\n',
        _write_unlabelled,
        ["workloads.mine.limits[0].metric", "has no labels"],
    ),
    "limit_without_labels_on_a_download": (
        QUICK
        + '\n[workloads.mine]\nurl = "https://example.org/m.tflite"\n'
        + f'sha256 = "{"0" * 64}"\ndataset = "mine.npz"\n'
        + '[[workloads.mine.limits]]\nmetric = "accuracy"\nmin = 0.5\n',
        _write_unlabelled,
        ["workloads.mine.limits[0].metric", "has no labels"],
    ),
    "system_config_trap": (
        QUICK.replace("[grid]", '[grid]\nsystem_configs = ["My_Board"]'),
        _write_nothing,
        ["My_Board"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_clear_error_and_nothing_run(case: str, tmp_path: Path) -> None:
    text, prepare, expected = CASES[case]
    prepare(tmp_path)
    runner = BenchRunner(tmp_path)
    config = runner.write_config(text)
    run = runner.run(config, "-n", "2")
    assert run.returncode == 4, run.output
    assert "Traceback" not in run.output
    errors = [line for line in run.output.splitlines() if line.startswith("ERROR: ")]
    assert len(errors) == 1, run.output
    assert str(config) in errors[0]
    for part in expected:
        assert part in run.output
    assert not runner.results.exists()
    assert not runner.cache.exists()


def test_a_run_narrowed_on_the_command_line_keeps_the_limits_of_the_whole_grid(
    tmp_path: Path,
) -> None:
    runner = BenchRunner(tmp_path)
    rule = '[[workloads.quick.limits]]\nmetric = "npu_cycles"\nmacs = [256]\nmax = 120_000\n'
    config = runner.write_config(QUICK + rule)
    chosen = ("--collect-only", "-q", "-k", "base and u55_32", "--bench-target=sim")
    run = runner.run(config, "-n", "0", *chosen)
    assert run.returncode == 0, run.output
    assert "test_npu_cycles[quick-base-u55_32-shared_sram-sim]" in run.output
