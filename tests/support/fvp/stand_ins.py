"""Executables with the FVP's name and command line, for tests of target `fvp`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from targets.fvp.find import NAMES, VARIABLE
from tests.support.bench_runs import ROOT

__all__ = ["as_fvp", "virtual_fvp", "write_fvp", "write_runner_fvp"]


def write_fvp(directory: Path, *parameters: str) -> Path:
    """A script under the FVP's name that starts the virtual platform.

    `parameters` are `-C` parameters it adds when it runs something, `bench.fault.*` for example.
    Skips loudly without the package the platform needs.
    """
    if find_spec("unicorn") is None:
        pytest.skip("the package unicorn is missing: target fvp NOT tested; run `make test`")
    directory.mkdir(parents=True, exist_ok=True)
    script = directory / NAMES[0]
    added = shlex.join([word for text in parameters for word in ("-C", text)])
    script.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = --version ] || set -- {added} "$@"\n'
        f"PYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} "
        '-m targets.virtual "$@"\n',
        encoding="utf-8",
    )
    script.chmod(0o755)
    return script


@contextmanager
def as_fvp(executable: Path) -> Iterator[Path]:
    """Let the bench take `executable` for the FVP, here and in processes started from here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(executable))
        yield executable


@contextmanager
def virtual_fvp(directory: Path) -> Iterator[str]:
    """The FVP that $BENCH_FVP names, or the virtual platform."""
    given = os.environ.get(VARIABLE, "")
    if given:
        yield given
        return
    with as_fvp(write_fvp(directory)) as executable:
        yield str(executable)


def write_runner_fvp(directory: Path, log: str) -> Path:
    """A script under the FVP's name that prints `log`, as `runner_stand_in` does."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "log").write_text(log, encoding="utf-8")
    script = directory / NAMES[0]
    script.write_text(
        "#!/bin/sh\n"
        '[ "$1" != --version ] || { echo "Fast Models [11.27.42 (stand-in)]"; exit 0; }\n'
        f"PYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} "
        f'-m tests.support.fvp.runner_stand_in {shlex.quote(str(directory / "log"))} "$@"\n',
        encoding="utf-8",
    )
    script.chmod(0o755)
    return script
