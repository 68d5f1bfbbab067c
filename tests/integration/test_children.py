"""Child processes of our own: what lies in the working directory is none of their business."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import BuildError
from bench.core.processes.children import python_command
from bench.tflite.interpreters import Interpreter, Interpreters, Request
from models.messages import BuildRequest, StoredData
from models.service import VariantBuilder
from models.spec import TrainSpec
from tests.support.models.recipes import built_in
from tests.support.models.tflite_factory import mlp

ROOT = Path(__file__).resolve().parents[2]
#: What a child imports somewhere on its way.
TRAPS = ("tensorflow", "numpy", "pydantic", "tflite_micro", "json", "bench", "models", "targets")


@pytest.fixture
def trapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory full of modules that tell when they are executed."""
    told = tmp_path / "executed"
    for name in TRAPS:
        (tmp_path / f"{name}.py").write_text(
            f"with open({str(told)!r}, 'a') as stream:\n    stream.write('{name} ')\n",
            encoding="utf-8",
        )
    monkeypatch.chdir(tmp_path)
    # As a user has it; what PYTHONPATH names is wanted.
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return told


def test_code_of_ours_finds_this_tree_and_nothing_in_the_working_directory(trapped: Path) -> None:
    code = "import json, numpy, pydantic, bench.core, sys\nprint(bench.__file__, sys.path)"
    done = subprocess.run(python_command(code), capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{ROOT}/bench/__init__.py ")
    assert "''" not in done.stdout
    assert not trapped.exists()


def test_a_checkout_as_working_directory_shadows_no_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The modules beside `bench/` are as strange as any: only our packages are taken there."""
    for name in ("bench", "models", "targets"):
        # A copy: where a link leads is another checkout.
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.elf"))
    told = tmp_path / "executed"
    (tmp_path / "numpy.py").write_text(f"open({str(told)!r}, 'w')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    code = (
        "from bench.core.processes import children\n"
        "import subprocess\n"
        "child = 'import numpy, bench.core.errors; print(bench.__file__)'\n"
        "subprocess.run(children.python_command(child), check=True)"
    )
    # The outer process stands for pytest, which has the checkout first on its path.
    environment = {**os.environ, "PYTHONSAFEPATH": ""}
    environment.pop("PYTHONPATH", None)
    starter = "import sys\nsys.path.insert(0, '')\n" + code
    done = subprocess.run(
        [*python_command("")[:2], starter], check=True, env=environment, stdout=subprocess.PIPE
    )
    assert done.stdout.decode().strip() == str(tmp_path / "bench" / "__init__.py")
    assert not told.exists()


def test_the_builder_executes_nothing_of_the_working_directory(
    trapped: Path, tmp_path: Path
) -> None:
    unknown = BuildRequest(
        workload="w",
        variant="base",
        origin=built_in("none"),
        spec=TrainSpec(epochs=1),
        data=StoredData(name="none", sha256="", files={}),
    )
    with (
        VariantBuilder() as builder,
        pytest.raises(BuildError, match="no function takes the option"),
    ):
        builder.build(unknown, tmp_path, lambda progress: None)
    assert not trapped.exists()


@pytest.mark.parametrize("interpreter", Interpreter)
def test_the_interpreters_execute_nothing_of_the_working_directory(
    trapped: Path, interpreter: Interpreter
) -> None:
    rows = np.ones((2, 1, 1, 16), np.int8)
    request = Request(interpreter, mlp([np.ones((4, 16), np.int8)]), (rows,), 1, fresh=False)
    with Interpreters() as interpreters:
        (answer,) = interpreters.run(request)
    assert len(answer) == 2
    assert not trapped.exists()
