"""The map of a cache on disk: which path means what. Pure; touches no file.

    <root>/v2/entries/<kind>/<digest[:2]>/<digest>/   manifest.json, files/...
    <root>/v2/locks/<digest>.lock                     flock; `.holder` next to it says whose
    <root>/v2/tmp/<digest>.<random>/                  being built, or being removed
    <root>/v2/quarantine/<digest>.<random>/           damaged entries moved aside

`v2` is the format. Another format is next to it, and they do not disturb each other.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.cache.key import KIND_PATTERN, CacheKey

__all__ = ["FILES", "FORMAT_VERSION", "MANIFEST", "Layout", "digest_of", "is_entry_path"]

FORMAT_VERSION: Final = 2
#: The description of an entry; its modification time is the entry's "last used" stamp.
MANIFEST = "manifest.json"
#: The product's own directory, so that no file name is reserved.
FILES = "files"

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PRIVATE_NAME = re.compile(r"([0-9a-f]{64})\.[0-9a-f]{16}")


def is_entry_path(path: Path) -> bool:
    """Whether `path` has the name of an entry: `<kind>/<digest[:2]>/<digest>`."""
    return (
        _DIGEST.fullmatch(path.name) is not None
        and path.parent.name == path.name[:2]
        and KIND_PATTERN.fullmatch(path.parent.parent.name) is not None
    )


def digest_of(private: Path) -> str | None:
    """The key digest in the name of a temporary or quarantined directory; None for others."""
    match = _PRIVATE_NAME.fullmatch(private.name)
    return match[1] if match else None


@dataclass(frozen=True)
class Layout:
    """Paths below one cache root."""

    root: Path

    @property
    def base(self) -> Path:
        """Everything of this format."""
        return self.root / f"v{FORMAT_VERSION}"

    @property
    def entries(self) -> Path:
        """The products."""
        return self.base / "entries"

    @property
    def locks(self) -> Path:
        """One lock file per key, and the notes of the holders."""
        return self.base / "locks"

    @property
    def temporaries(self) -> Path:
        """What is being built or removed, on the file system of the entries."""
        return self.base / "tmp"

    @property
    def quarantine(self) -> Path:
        """Damaged entries moved aside."""
        return self.base / "quarantine"

    def entry(self, key: CacheKey) -> Path:
        """Where the product of `key` is, if it exists."""
        return self.entries / key.kind / key.digest[:2] / key.digest

    def lock(self, digest: str) -> Path:
        """The file whose `flock` is the key's lock."""
        return self.locks / f"{digest}.lock"

    def holder(self, digest: str) -> Path:
        """The note that says who holds the key's lock, for waiting processes."""
        return self.locks / f"{digest}.holder"

    def new_temporary(self, digest: str) -> Path:
        """A new name. The digest in it says which lock guards the directory."""
        return self.temporaries / f"{digest}.{secrets.token_hex(8)}"

    def new_quarantine(self, digest: str) -> Path:
        """A new name for a damaged entry of `digest`."""
        return self.quarantine / f"{digest}.{secrets.token_hex(8)}"
