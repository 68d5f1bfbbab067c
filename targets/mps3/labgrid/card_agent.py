"""Runs on the board's machine, inside labgrid's agent: access to the card's files, by name.

labgrid sends this text over ssh to a Python that has nothing of the bench, so it uses only the
standard library. Contents are sent in base85. A result is `["ok", value]` or
`["error", errno, text]`.
"""

from __future__ import annotations

import base64
import ctypes
import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _find(root: str, name: str) -> Path:
    """The path of `name` below `root`, whatever the case of its letters."""
    path = Path(root)
    for part in Path(name).parts:
        exact = path / part
        if not exact.exists() and path.is_dir():
            found = [entry for entry in path.iterdir() if entry.name.upper() == part.upper()]
            exact = found[0] if found else exact
        path = exact
    return path


def _require(root: str) -> None:
    """An empty mount point holds no card."""
    if not any(Path(root).iterdir()):
        raise FileNotFoundError(errno.ENOENT, "the volume is not there", root)


def _flush(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mount_point(device: str) -> str:
    """Where a disk (or its first partition) is mounted; udisks mounts it if necessary."""
    for attempt in range(2):
        for line in Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines():
            source, place = line.split(" ")[:2]
            if source in (device, f"{device}1"):
                return place.encode().decode("unicode_escape")
        if attempt == 0:
            part = f"{device}1" if Path(f"{device}1").exists() else device
            subprocess.run(["udisksctl", "mount", "-b", part], capture_output=True, check=False)
    raise FileNotFoundError(errno.ENOENT, "not mounted, nor did udisksctl mount it", device)


def _listing(root: str, directory: str) -> list[str]:
    try:
        return sorted(path.name for path in _find(root, directory).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        _require(root)
        return []


def _read(root: str, name: str) -> str | None:
    try:
        return base64.b85encode(_find(root, name).read_bytes()).decode("ascii")
    except FileNotFoundError:
        _require(root)
        return None


def _write(root: str, name: str, text: str, at: int) -> None:
    """Write a piece of a file at `at`; 0 starts the file again."""
    path = _find(root, name)
    with path.open("wb" if at == 0 else "r+b") as stream:
        stream.seek(at)
        stream.write(base64.b85decode(text))
        stream.flush()
        os.fsync(stream.fileno())
    _flush(path.parent)


def _replace(root: str, source: str, target: str) -> None:
    goal = _find(root, target)
    _find(root, source).replace(goal)
    _flush(goal.parent)


def _remove(root: str, name: str) -> None:
    path = _find(root, name)
    path.unlink(missing_ok=True)
    _flush(path.parent)


def _free_bytes(root: str) -> int:
    status = os.statvfs(root)
    return status.f_bavail * status.f_frsize


def _sync(root: str) -> None:
    _require(root)
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(ctypes.get_errno(), "syncfs")
    finally:
        os.close(descriptor)


def _reported(function: Callable[..., Any]) -> Callable[..., list[Any]]:
    def call(*arguments: Any) -> list[Any]:
        try:
            return ["ok", function(*arguments)]
        except OSError as error:
            return ["error", error.errno or 0, str(error)]

    return call


#: What labgrid's agent looks for in a module.
methods = {
    "mount_point": _reported(_mount_point),
    "listing": _reported(_listing),
    "read": _reported(_read),
    "write": _reported(_write),
    "replace": _reported(_replace),
    "remove": _reported(_remove),
    "free_bytes": _reported(_free_bytes),
    "sync": _reported(_sync),
}
