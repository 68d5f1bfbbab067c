"""Data that a Python package ships: read from its file, whose sha256 is pinned.

The package's code is not imported. It may be older than the libraries that are installed today, and
it would be slower.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from bench.core.errors import ModelError, PrerequisiteError
from bench.core.files import read_regular, reason
from models.extra import DATA_CURE

__all__ = ["PackagedFile"]

#: The largest file that can be one of these, in bytes; the largest has 18 million.
_BYTES_MAX = 64 << 20


@dataclass(frozen=True)
class PackagedFile:
    """A file of an installed distribution."""

    #: As it is called in the package index.
    distribution: str
    #: Relative to where packages are installed.
    path: str
    sha256: str

    def named(self, what: str) -> str:
        """What data from this file is called, in cache keys and records: it tells other files."""
        return f"{what}_{self.sha256[:8]}"

    def read(self) -> bytes:
        """Its content.

        Raises:
            PrerequisiteError: the distribution is not installed, or has no such file.
            ModelError: the file is another one.
        """
        try:
            place = Path(str(distribution(self.distribution).locate_file(self.path)))
        except PackageNotFoundError as error:
            raise PrerequisiteError(
                f"{Path(self.path).name} comes with {self.distribution}, which is not installed",
                cure=DATA_CURE,
            ) from error
        try:
            content = read_regular(place, _BYTES_MAX)
        except OSError as error:
            raise PrerequisiteError(
                f"{place}, which comes with {self.distribution}, cannot be read: {reason(error)}",
                cure=f"install it again, as a wheel: {DATA_CURE}",
            ) from error
        # Models that are trained on it are stored under the name of the data alone.
        if (digest := hashlib.sha256(content).hexdigest()) != self.sha256:
            raise ModelError(
                f"{place} has the sha256 {digest}, not {self.sha256}",
                cure=f"install a version of {self.distribution} that has it: {DATA_CURE}",
            )
        return content
