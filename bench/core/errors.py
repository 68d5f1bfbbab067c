"""The error tree: everything that the bench raises on purpose is a `BenchError`.

A message says what happened, where (file, key, cell), and what to do about it. Each class stands
for one kind of cure, so a caller can distinguish "edit your configuration" from "install something"
without reading the text.
"""

from __future__ import annotations

from bench.core.text import paragraph

__all__ = [
    "BenchError",
    "BuildError",
    "CacheError",
    "ClusterError",
    "CompilerError",
    "ConfigError",
    "DownloadError",
    "ModelError",
    "PrerequisiteError",
    "TargetError",
    "TargetUnavailableError",
]


class BenchError(Exception):
    """Base of every error that the bench raises on purpose.

    `what` states the failure and where it happened. `cure`, if there is one, tells the user what to
    do next. Both may quote models, tools and devices, so both are made safe to show.
    """

    def __init__(self, what: str, *, cure: str = "") -> None:
        self.what = paragraph(what)
        self.cure = paragraph(cure)
        super().__init__(f"{self.what}\n  -> {self.cure}" if cure else self.what)


class ConfigError(BenchError):
    """`bench.toml` or a command-line option is wrong; nothing was run."""


class ModelError(BenchError):
    """A model or dataset file is missing, damaged or of the wrong kind."""


class DownloadError(BenchError):
    """An address gives nothing, or not what was requested."""


class PrerequisiteError(BenchError):
    """Something that must be installed, attached or reachable is not."""


class BuildError(BenchError):
    """Training, compressing or quantising a variant failed."""


class CompilerError(BenchError):
    """Vela failed, or wrote something its adapter cannot read."""


class CacheError(BenchError):
    """The artefact cache cannot be read or written."""


class ClusterError(BenchError):
    """A cluster lost what it was asked for: the scheduler, its workers, or what came back."""


class TargetError(BenchError):
    """A target could not run a compiled model, or answered nonsense."""


class TargetUnavailableError(PrerequisiteError):
    """A target is not available: no FVP, no board, or an accelerator that the board does not have.

    This is the only error after which a cell is UNAVAILABLE and the run may still pass. A broken
    installation, a failed download, or an operator that nothing can run are other errors.
    """
