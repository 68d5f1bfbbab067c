"""Installing a version of Vela into a directory of its own, exactly as its lock file says."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.compiler.installation import DISTRIBUTION, VelaInstallation
from bench.compiler.lock_files import LockFile
from bench.core.errors import PrerequisiteError
from bench.core.processes import Bounds, Ended, TimedOutError, run_to_end
from bench.core.text import one_line

__all__ = ["INSTALL_BOUNDS", "install_vela"]

#: It takes some seconds where the packages are near.
INSTALL_BOUNDS = Bounds(seconds=900)
_START_BOUNDS = Bounds(seconds=120)
#: How much of what pip says is wrong is shown.
_SAID_LINES, _SAID_LENGTH = 6, 400

#: Of the user's settings of pip, those that say where packages come from count. These would
#: install elsewhere, or refuse to.
_PIP_ENVIRONMENT = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_NO_INPUT": "1"}


def install_vela(
    lock: LockFile, directory: Path, bounds: Bounds = INSTALL_BOUNDS
) -> VelaInstallation:
    """Install what `lock` names into the empty `directory`, with the pip of this environment.

    pip takes packages from the index that the user has configured. Every file must have a hash of
    the lock, and only wheels are taken, because what builds a source archive is pinned by nothing.

    Raises `PrerequisiteError` if pip fails, or if the Vela cannot be run by this Python.
    """
    with tempfile.TemporaryDirectory(prefix="bench-vela-") as name:
        # What is installed is what was read.
        requirements = Path(name) / lock.path.name
        requirements.write_bytes(lock.content)
        _pip(lock, requirements, directory, bounds)
    installation = VelaInstallation(lock.version, directory)
    _require_runs(installation)
    return installation


def _pip(lock: LockFile, requirements: Path, directory: Path, bounds: Bounds) -> None:
    command = [
        *(sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"),
        *("--require-hashes", "--only-binary=:all:", "--retries=2"),
        *("--target", str(directory), "--requirement", str(requirements)),
    ]
    try:
        ended = run_to_end(
            command,
            bounds,
            cwd=requirements.parent,
            environment={**os.environ, **_PIP_ENVIRONMENT},
            stderr=subprocess.STDOUT,
        )
    except TimedOutError as error:
        raise _not_installed(lock, f"pip took longer than {bounds.seconds:g} s") from error
    if "No module named pip" in ended.output:
        raise PrerequisiteError(
            f"Vela {lock.version} cannot be installed: this Python has no pip",
            cure=f"install pip here: {sys.executable} -m ensurepip",
        )
    if ended.status:
        raise _not_installed(lock, _said(ended))


def _not_installed(lock: LockFile, why: str) -> PrerequisiteError:
    return PrerequisiteError(
        f"Vela {lock.version} cannot be installed: {why}",
        cure=f"let pip reach an index that has {DISTRIBUTION} {lock.version} (`pip config list` "
        f"shows where it looks), or leave {lock.version} out of grid.vela",
    )


def _said(ended: Ended) -> str:
    """What pip says is wrong."""
    lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    told = one_line("; ".join(line.removeprefix("ERROR: ") for line in errors[-_SAID_LINES:]))
    return f"pip failed (exit code {ended.status}): {told[:_SAID_LENGTH] or 'it said nothing'}"


def _require_runs(installation: VelaInstallation) -> None:
    """Raise `PrerequisiteError` unless it starts here and is what it should be."""
    installation.bundled_config()
    with tempfile.TemporaryDirectory(prefix="bench-vela-") as name:
        try:
            ended = run_to_end(
                installation.program("-m", "ethosu.vela", "--version"),
                _START_BOUNDS,
                cwd=Path(name),
                environment={**os.environ, **installation.environment},
                stderr=subprocess.STDOUT,
            )
        except TimedOutError as error:
            raise _does_not_run(installation, "it did not start in time") from error
    said = ended.output.strip().splitlines()[-1:] or ["nothing"]
    if ended.status or said != [installation.version]:
        raise _does_not_run(installation, f"asked for its version, it said: {said[0]}")


def _does_not_run(installation: VelaInstallation, why: str) -> PrerequisiteError:
    python = ".".join(map(str, sys.version_info[:3]))
    return PrerequisiteError(
        f"Vela {installation.version} was installed and does not run on Python {python}: "
        f"{one_line(why)}",
        cure="use a Python that it supports, or leave it out of grid.vela",
    )
