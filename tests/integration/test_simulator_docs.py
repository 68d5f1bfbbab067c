"""`docs/simulator.md`, done step by step by somebody who has nothing but a model."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.models.vela_files import small_mlp

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "simulator.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's directory with a model, and the page's shell commands run in it."""
    path = tmp_path_factory.mktemp("reader")
    (path / "model.tflite").write_bytes(small_mlp())
    return path


@pytest.fixture(scope="module")
def printed(directory: Path) -> str:
    """What the page's shell commands print."""
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": os.pathsep.join([scripts, os.environ["PATH"]])}
    outputs = []
    for line in "".join(blocks("sh")).splitlines():
        words = shlex.split(line)
        finished = subprocess.run(
            words, cwd=directory, env=environment, capture_output=True, text=True, timeout=120
        )
        assert finished.returncode == 0, f"{line}\n{finished.stdout}{finished.stderr}"
        outputs.append(finished.stdout)
    return "".join(outputs)


def test_the_disassembly_is_what_the_page_shows(printed: str) -> None:
    (shown,) = blocks("text")
    assert shown in printed


def test_the_python_blocks_run_one_after_the_other(directory: Path, printed: str) -> None:
    assert printed
    script = "\n".join(textwrap.dedent(block) for block in blocks("python"))
    finished = subprocess.run(
        [sys.executable, "-c", script],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr
    for expected in ("AXI0_WR_DATA_BEAT_WRITTEN", "cycles (estimate)", "float32 [1, 3]"):
        assert expected in finished.stdout
