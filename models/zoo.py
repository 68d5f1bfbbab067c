"""Public int8 models with their address, licence and sha256; see `zoo.toml` next to this file."""

from __future__ import annotations

import hashlib
import sys
from importlib import resources
from pathlib import Path

from pydantic import Field

from bench.core.schema import StrictModel

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["ZooModel", "zoo_models"]


class ZooModel(StrictModel):
    """One public model."""

    name: str
    title: str
    url: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    licence: str

    def matches(self, path: Path) -> bool:
        """Whether `path` holds this model."""
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256


def zoo_models() -> tuple[ZooModel, ...]:
    """Every listed model, by name."""
    text = resources.files(__package__).joinpath("zoo.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text)
    return tuple(ZooModel(name=name, **entries[name]) for name in sorted(entries))
