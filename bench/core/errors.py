"""The error tree: everything the bench raises on purpose is a `BenchError`.

A message says what happened, where (file, key, cell) and what to do about it. Each class
stands for one kind of cure, so that a caller can tell "edit your configuration" from
"install something" without reading the text.
"""

from __future__ import annotations

from bench.core.text import paragraph

__all__ = [
    "BenchError",
    "BuildError",
    "CacheError",
    "CompilerError",
    "ConfigError",
    "DownloadError",
    "ModelError",
    "PrerequisiteError",
    "TargetError",
    "TargetUnavailableError",
]


class BenchError(Exception):
    """Base of every error the bench raises on purpose.

    `what` states the failure and where it happened; `cure`, when there is one, is the
    sentence that tells the user what to do next. Both quote what models, tools and devices say, so
    both are made safe to show.
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
    """An address gives nothing, or something else than was asked for."""


class PrerequisiteError(BenchError):
    """Something that must be installed, attached or reachable is not."""


class BuildError(BenchError):
    """Training, compressing or quantising a variant failed."""


class CompilerError(BenchError):
    """Vela failed, or wrote something its adapter cannot read."""


class CacheError(BenchError):
    """The artefact cache cannot be read or written."""


class TargetError(BenchError):
    """A target could not run a compiled model, or answered nonsense."""


class TargetUnavailableError(PrerequisiteError):
    """A target that cannot be had: no FVP, no board, an accelerator the board does not have.

    The only error after which a cell counts as UNAVAILABLE and the run may still pass. A broken
    installation, a failed download or an operator nobody can run are other errors.
    """
