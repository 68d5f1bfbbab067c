"""`bench init`: what it writes works, and it never writes over anything."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.plan.config import TrainedWorkload, load_config
from bench.plan.grid import make_plan
from tests.support.bench_runs import ROOT
from tests.support.models.tflite_factory import mlp

SCHEMAS = {
    ".github/workflows/ethos-u55-bench.yml": "vendor.github-workflows",
    ".gitlab/ethos-u55-bench.yml": "vendor.gitlab-ci",
}


@pytest.fixture
def net(tmp_path: Path) -> Path:
    weights = np.random.default_rng(1).integers(-127, 128, (10, 40)).astype(np.int8)
    path = tmp_path / "nets" / "My net-V2.tflite"
    path.parent.mkdir()
    path.write_bytes(mlp([weights]))
    return path


def init(directory: Path, *arguments: object, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", "init", *map(str, arguments)],
        cwd=directory,
        env={"PATH": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_a_finished_model_is_a_bench(tmp_path: Path, net: Path) -> None:
    init(tmp_path, "--model", net.relative_to(tmp_path))
    config = load_config(tmp_path / "bench.toml")
    assert list(config.workloads) == ["my_net_v2"]
    assert len(make_plan(config).cells) == 4
    text = (tmp_path / "bench.toml").read_text(encoding="utf-8")
    assert 'model = "nets/My net-V2.tflite"' in text
    # What is commented out may be taken in.
    taken_in = re.sub(r"^# (?=\[|[a-z_]+ = )", "", text, flags=re.MULTILINE)
    (tmp_path / "bench.toml").write_text(taken_in, encoding="utf-8")
    workload = load_config(tmp_path / "bench.toml").workloads["my_net_v2"]
    assert workload.limits[0].max == 100_000
    assert "dataset" in workload.model_fields_set


def test_without_a_model_there_is_a_recipe(tmp_path: Path) -> None:
    init(tmp_path)
    config = load_config(tmp_path / "bench.toml")
    workload = config.workloads["my_network"]
    assert isinstance(workload, TrainedWorkload)
    assert {cell.variant for cell in make_plan(config).cells} == {"base", "pruned", "clustered"}
    recipe = tmp_path / "recipes" / "my_network.py"
    # `tests/integration/test_wheel.py` trains it.
    assert {"model", "data"} <= set(runpy.run_path(str(recipe)))
    assert Path(workload.recipe).resolve() == recipe


def test_models_of_one_name_are_two_workloads(tmp_path: Path, net: Path) -> None:
    other = tmp_path / "my_net-v2.tflite"
    other.write_bytes(net.read_bytes())
    elsewhere = tmp_path / "bench here"
    init(tmp_path, elsewhere, "--model", net, "--model", other)
    workloads = load_config(elsewhere / "bench.toml").workloads
    assert list(workloads) == ["my_net_v2", "my_net_v2_v2"]
    assert '"../my_net-v2.tflite"' in (elsewhere / "bench.toml").read_text(encoding="utf-8")


def test_nothing_is_overwritten(tmp_path: Path, net: Path) -> None:
    for name in ("bench.toml", ".gitignore", *SCHEMAS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine", encoding="utf-8")
    before = files(tmp_path)
    for system in ("auto", "github", "gitlab"):
        said = init(tmp_path, "--model", net, "--ci", system)
        assert "kept   bench.toml" in said
        assert "[workloads.my_net_v2]" in said, "what was asked for is not told"
        assert "add results/ to .gitignore" in said
    assert files(tmp_path) == before


def test_a_model_that_cannot_be_measured_is_refused_first(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(b"no model")
    assert "net.tflite" in init(tmp_path, "--model", "net.tflite", status=2)
    assert list(files(tmp_path)) == ["net.tflite"]


@pytest.mark.parametrize(
    ("there", "option", "written"),
    [
        (".github/x.md", "auto", {".github/workflows/ethos-u55-bench.yml"}),
        (".gitlab-ci.yml", "auto", {".gitlab/ethos-u55-bench.yml"}),
        ("readme", "auto", set()),
        (".github/x.md", "none", set()),
        ("readme", "github", {".github/workflows/ethos-u55-bench.yml"}),
    ],
)
def test_the_ci_file_is_for_the_system_that_is_there(
    tmp_path: Path, net: Path, there: str, option: str, written: set[str]
) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).touch()
    before = files(tmp_path)
    init(tmp_path, "--model", net, "--ci", option)
    assert set(files(tmp_path)) - set(before) == {"bench.toml", ".gitignore", *written}


@pytest.mark.parametrize("path", SCHEMAS)
def test_the_ci_file_keeps_to_the_schema_of_its_system(
    tmp_path: Path, net: Path, path: str
) -> None:
    pytest.importorskip(
        "check_jsonschema", reason="check-jsonschema is missing: the recipes are NOT checked"
    )
    init(tmp_path, "--model", net, "--ci", path.partition("/")[0].removeprefix("."))
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", SCHEMAS[path]]
    done = subprocess.run([*checker, tmp_path / path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / path).read_text(encoding="utf-8")
    assert 'pip install "ethos-u55-bench==' in text
    assert "bench run" in text
