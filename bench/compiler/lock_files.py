"""Lock files: the exact packages of a version of Vela, each with its hashes.

The bench ships one for each version in `locks/`, and users may bring their own. A lock is a
requirements file for `pip install --require-hashes`; `make vela-locks` makes those of the bench.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.compiler.installation import DISTRIBUTION
from bench.core.errors import ConfigError
from bench.core.files import read_regular

__all__ = ["LockFile", "find_lock", "is_vela_version", "shipped_locks"]

#: The largest lock file that is read, in bytes; ours have some 20,000.
_LOCK_BYTES_MAX = 1 << 20
_VERSION = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(rc[0-9]{1,2})?")
_PIN = re.compile(rf"^{DISTRIBUTION}==([^\s;\\]+)", re.MULTILINE)


def is_vela_version(text: str) -> bool:
    """Whether `text` has the form of a version of Vela: `5.0.0`, `4.0.0rc1`."""
    return _VERSION.fullmatch(text) is not None


@dataclass(frozen=True)
class LockFile:
    """The lock file of a version, as it was read."""

    version: str
    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        """Of its content."""
        return hashlib.sha256(self.content).hexdigest()


def shipped_locks() -> dict[str, Path]:
    """The lock files that come with the bench, by version."""
    directory = Path(__file__).with_name("locks")
    return {path.stem.removeprefix("vela-"): path for path in sorted(directory.glob("vela-*.txt"))}


def find_lock(version: str, own: Mapping[str, Path]) -> LockFile:
    """The lock file of `version`: one of the user's `own`, or the bench's.

    Raises `ConfigError` if there is none, if it cannot be read, or if it is of another version.
    """
    shipped = shipped_locks()
    path = own.get(version) or shipped.get(version)
    if path is None:
        raise ConfigError(
            f"there is no lock file for Vela {version}; the bench has those of "
            f"{', '.join(shipped)}",
            cure=f'make one (uv pip compile --generate-hashes, of "{DISTRIBUTION}=={version}") and '
            f'name it: [vela.locks] "{version}" = "vela-{version}.txt"',
        )
    try:
        content = read_regular(path, _LOCK_BYTES_MAX)
    except OSError as error:
        raise ConfigError(
            f'vela.locks."{version}": {path} cannot be read: {error.strerror or error}',
            cure="correct the path",
        ) from error
    pinned = _PIN.findall(content.decode("utf-8", "replace"))
    if pinned != [version]:
        raise ConfigError(
            f'vela.locks."{version}": {path} does not pin {DISTRIBUTION}=={version}, but '
            f"{', '.join(pinned) or 'no version of it'}",
            cure=f'make it again: uv pip compile --generate-hashes, of "{DISTRIBUTION}=={version}"',
        )
    return LockFile(version, path, content)
