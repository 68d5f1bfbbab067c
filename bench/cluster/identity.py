"""Who a worker is: everything that must be the same where a run is planned and where it is made.

A worker offers Dask a *resource* whose name holds the hash of its identity, and each task of a run
asks for the resource of the run's own. So Dask itself never gives a task to a worker with another
version of the bench, of its sources, of Vela or of whatever else counts.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError

import bench
from bench.core.fingerprint import SourceTree
from bench.core.own_names import PREFIX
from bench.core.versions import installed_version

__all__ = ["IMAGE_VARIABLE", "Identity", "identity_here"]

#: What a container image may say of itself, such as its digest.
IMAGE_VARIABLE = "BENCH_IMAGE"

#: Distributions whose versions decide figures.
_PACKAGES = (
    "ethos-u-vela",
    "tflite-micro",
    "ai-edge-litert",
    "numpy",
    "tensorflow",
    "tensorflow-model-optimization",
    "tf-keras",
    "distributed",
)
_DIGITS = 16


@dataclass(frozen=True)
class Identity:
    """Facts by name; `-` for what is not installed."""

    facts: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The beginning of the sha256 of all facts."""
        text = json.dumps(dict(sorted(self.facts.items())))
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]

    def resource(self, seat: str) -> str:
        """The name of Dask's resource for tasks that take this seat."""
        return f"bench-{self.digest}" + (f"-{seat}" if seat else "")

    def differences(self, other: Mapping[str, str]) -> list[str]:
        """What `other` has otherwise: `ethos-u-vela is 5.0.0, not 5.2.0`."""
        return [
            f"{name} is {other.get(name, '-')}, not {value}"
            for name, value in self.facts.items()
            if other.get(name, "-") != value
        ]


def identity_here(code: SourceTree) -> Identity:
    """The identity of this process, which has loaded `code`."""
    sources = {name: module.sha256 for name, module in sorted(code.modules.items())}
    digest = hashlib.sha256(json.dumps(sources).encode()).hexdigest()
    return Identity(
        {
            "bench": bench.__version__,
            "sources": digest[:_DIGITS],
            "installed as": PREFIX or "checkout",
            "python": ".".join(map(str, sys.version_info[:2])),
            "machine": platform.machine(),
            "image": os.environ.get(IMAGE_VARIABLE) or "-",
            **{name: _version(name) for name in _PACKAGES},
        }
    )


def _version(name: str) -> str:
    try:
        return installed_version(name)
    except PackageNotFoundError:
        return "-"
