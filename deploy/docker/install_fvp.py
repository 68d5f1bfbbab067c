"""Installs Arm's Corstone-300 FVP into an image, from the archive its user downloaded.

Run by the Dockerfile's stage `fvp` with the image's own Python: it needs nothing but the standard
library. Everything that can go wrong is one sentence on standard error, and exit status 1.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["EXECUTABLE", "InstallationError", "Request", "install", "main", "verify"]

#: The name the bench looks for.
EXECUTABLE = "FVP_Corstone_SSE-300_Ethos-U55"
#: What the model is called in Arm's packages, best first.
_NAMES = (EXECUTABLE, "FVP_Corstone_SSE-300", "VHT_Corstone_SSE-300_Ethos-U55")
_EULA = "ARM_FVP_INSTALL_I_AGREE_TO_THE_CONTAINED_EULA"
#: How the installers of different releases want to be called.
_CALLS = (
    ("--no-interactive", "--i-agree-to-the-contained-eula", "-d"),
    ("--i-agree-to-the-contained-eula", "--force", "--quiet", "--destination"),
)
_DOWNLOAD_SECONDS = 60.0
_INSTALL_SECONDS = 1200.0
_START_SECONDS = 60.0
#: What Arm's models print with --version; their exit status is not documented.
_VERSION_MARK = "Fast Models"
_LOADER_COMPLAINTS = ("error while loading shared libraries", "cannot enable executable stack")


class InstallationError(Exception):
    """The FVP cannot be installed; the message is the one sentence for the user."""


@dataclass(frozen=True)
class Request:
    """What the user asked for with build arguments."""

    #: A URL, or a path relative to the build context.
    archive: str
    sha256: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Request:
        """Read the build arguments. Raises `InstallationError` when one is missing or wrong."""
        if environment.get(_EULA, "").lower() not in {"1", "true", "yes"}:
            raise InstallationError(
                "the FVP is not installed without your consent to Arm's licence for it: "
                f"read the licence and add --build-arg {_EULA}=True"
            )
        archive = environment.get("FVP_ARCHIVE", "")
        if not archive:
            raise InstallationError(
                "no FVP archive is named: add --build-arg FVP_ARCHIVE= with its URL, or with the "
                "name of a file that you put into deploy/docker/archives/"
            )
        sha256 = environment.get("FVP_SHA256", "").lower()
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise InstallationError(
                "the FVP archive's checksum is missing: add --build-arg FVP_SHA256= with the 64 "
                "hexadecimal digits that sha256sum prints for it"
            )
        return cls(archive, sha256)


def install(request: Request, context: Path, directory: Path) -> Path:
    """Install the FVP beneath `directory`; returns the executable, `directory/bin/EXECUTABLE`.

    `context` is the build context, in which a local archive lies. Raises `InstallationError`.
    """
    with tempfile.TemporaryDirectory() as temporary:
        archive = Path(temporary, "archive")
        with archive.open("wb") as file:
            _fetch(request.archive, context, file)
        _check_sum(archive, request)
        unpacked = Path(temporary, "unpacked")
        unpacked.mkdir()
        _unpack(archive, unpacked, request.archive)
        _check_tree(unpacked, request.archive)
        installers = sorted(unpacked.glob("**/*.sh"), key=lambda path: len(path.parts))
        if _find_model(unpacked) is None and installers:
            _run_installer(installers[0], directory)
        else:
            shutil.copytree(unpacked, directory, symlinks=True, dirs_exist_ok=True)
    _check_tree(directory, request.archive)
    model = _find_model(directory)
    if model is None:
        raise InstallationError(
            f"{request.archive} holds none of {', '.join(_NAMES)}: is it the archive of the "
            "Corstone-300 FVP for this machine's processor?"
        )
    return _write_launcher(model, directory)


def verify(executable: Path) -> str:
    """Start the FVP for its version; returns what it prints. Raises `InstallationError`."""
    try:
        result = subprocess.run(
            [executable, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=_START_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallationError(f"the installed FVP does not start: {error}") from error
    failed = result.returncode != 0 and _VERSION_MARK not in result.stdout
    if failed or any(complaint in result.stdout for complaint in _LOADER_COMPLAINTS):
        said = result.stdout.strip().splitlines() or [f"exit status {result.returncode}"]
        raise InstallationError(f"the installed FVP does not start: {said[-1]}")
    return result.stdout.strip()


def _fetch(archive: str, context: Path, file: BinaryIO) -> None:
    try:
        if re.match(r"[a-z]+://", archive):
            with urllib.request.urlopen(archive, timeout=_DOWNLOAD_SECONDS) as source:
                while block := source.read(1 << 20):
                    file.write(block)
        else:
            for place in (context / "deploy/docker/archives" / archive, context / archive):
                if place.is_file():
                    file.write(place.read_bytes())
                    return
            raise InstallationError(
                f"there is no {archive} in deploy/docker/archives/: put the archive there, as "
                "the engine sees no other directory, or give a URL"
            )
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise InstallationError(f"{archive} cannot be read: {reason}") from error


def _check_sum(archive: Path, request: Request) -> None:
    digest = hashlib.sha256()
    with archive.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != request.sha256:
        raise InstallationError(
            f"{request.archive} has the sha256 {digest.hexdigest()}, and FVP_SHA256 says "
            f"{request.sha256}: it is another release, or it was damaged on its way"
        )


def _unpack(archive: Path, directory: Path, name: str) -> None:
    # GNU tar, not tarfile: it leaves no way out of the directory on any Python.
    # Permissions as they are in the archive, for whoever runs this: they are looked at next.
    options = ["--no-same-owner", "--same-permissions"]
    command = ["tar", "-x", *options, "-f", str(archive), "-C", str(directory)]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if result.returncode != 0:
        said = (result.stderr.strip().splitlines() or ["tar failed"])[0]
        raise InstallationError(f"{name} cannot be unpacked: {said}")


def _check_tree(directory: Path, name: str) -> None:
    """Refuse what a model has no use for, and an image should not carry.

    That is a file with the rights of its owner or group, a device, a pipe, a socket, and a link
    that leads out of the tree, through which a later step would write elsewhere.
    """
    top = directory.resolve()
    for place, directories, files in os.walk(directory):
        for entry in (*directories, *files):
            path = Path(place, entry)
            if problem := _problem_with(path, top):
                where = str(path.relative_to(directory))
                raise InstallationError(f"{name} holds {where!r}, which is {problem}: refused")


def _problem_with(path: Path, top: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        # Not Path.resolve(), which raises where links lead in a circle.
        inside = Path(os.path.realpath(path)).is_relative_to(top)
        return "" if inside else f"a link to '{path.readlink()}', outside of the installation"
    if stat.S_ISDIR(mode):
        return ""
    if not stat.S_ISREG(mode):
        return "a device, a pipe or a socket"
    if mode & (stat.S_ISUID | stat.S_ISGID):
        return "set to run with the rights of its owner or group"
    return ""


def _run_installer(installer: Path, directory: Path) -> None:
    said = ""
    for options in _CALLS:
        directory.mkdir(parents=True, exist_ok=True)
        try:
            result = subprocess.run(
                ["bash", installer, *options, directory],
                cwd=installer.parent,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                timeout=_INSTALL_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InstallationError(f"Arm's installer {installer.name} failed: {error}") from error
        if result.returncode == 0 and _find_model(directory) is not None:
            return
        said = (result.stdout.strip().splitlines() or [f"exit status {result.returncode}"])[-1]
    raise InstallationError(f"Arm's installer {installer.name} failed: {said}")


def _find_model(directory: Path) -> Path | None:
    """The model's executable; the uppermost one, as installations also hold links."""
    for name in _NAMES:
        found = [path for path in directory.glob(f"**/{name}") if path.is_file()]
        if found:
            return min(found, key=lambda path: (len(path.parts), path))
    return None


def _write_launcher(model: Path, directory: Path) -> Path:
    """A script that gives the model the libraries and the Python that came with it."""
    launcher = directory / "bin" / EXECUTABLE
    if launcher == model:
        return launcher
    lines = ["#!/bin/sh"]
    python = next((path for path in directory.glob("**/python") if path.is_dir()), None)
    libraries = [path for path in directory.glob("**/fmtplib") if path.is_dir()]
    if python is not None:
        lines.append(f"export PYTHONHOME={shlex.quote(str(python))}")
        libraries.append(python / "lib")
    if libraries:
        places = ":".join(str(path) for path in libraries)
        lines.append(f"export LD_LIBRARY_PATH={shlex.quote(places)}")
    lines.append(f'exec {shlex.quote(str(model))} "$@"')
    launcher.parent.mkdir(parents=True, exist_ok=True)
    launcher.write_text("\n".join(lines) + "\n", encoding="utf-8")
    launcher.chmod(0o755)
    return launcher


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see `--help`."""
    parser = argparse.ArgumentParser(description="Install Arm's FVP into an image.")
    parser.add_argument("--directory", type=Path, required=True, help="where the FVP goes")
    parser.add_argument("--context", type=Path, default=Path("/context"), help="build context")
    parser.add_argument("--check", action="store_true", help="start the installed FVP instead")
    options = parser.parse_args(arguments)
    try:
        if options.check:
            print(verify(options.directory / "bin" / EXECUTABLE))
        else:
            request = Request.from_environment(os.environ)
            print(install(request, options.context, options.directory))
    except InstallationError as error:
        print(f"fvp: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
