"""ruff, as pyproject.toml sets it up, finds what would depend on the locale of a machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bench_runs import ROOT

CALLS = [
    "path.write_text(text)",
    "path.read_text()",
    "path.open('w')",
    "open(path)",
    "tempfile.NamedTemporaryFile('w')",
]


def found(call: str, file: str) -> str:
    """What ruff says of a module at `file` that makes this call."""
    content = f"import tempfile\nfrom pathlib import Path\n\npath, text = Path('x'), 'y'\n{call}\n"
    done = subprocess.run(
        [Path(sys.executable).with_name("ruff"), "check", "--stdin-filename", file, "-"],
        cwd=ROOT,
        input=content,
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("file", ["bench/core/new.py", "targets/new.py", "tests/unit/new.py"])
def test_text_without_an_encoding_is_found(file: str) -> None:
    for call in CALLS:
        assert "unspecified-encoding" in found(call, file), call
    for call in ("path.write_bytes(b'')", "path.read_text(encoding='utf-8')"):
        assert "unspecified-encoding" not in found(call, file), call
