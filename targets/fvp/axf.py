"""Other people's programs for the FVP: the user's .axf files, and the one that Arm ships built."""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from bench.core.errors import PrerequisiteError, TargetError
from bench.core.files import read_regular
from targets.protocol import Job

__all__ = ["Programs", "offer", "prebuilt_runner"]

_PACKAGE = "mlia-ethos-u"
#: The inference runner for TFLite-Micro without timing adapter in mlia-ethos-u 0.1.0.
_PREBUILT = "inference_runner-sse-300-26.03.0-tflm-ethos-U55-Default-noTA/mlek_inference_runner.axf"
_PREBUILT_SHA256 = "a72f0f3515cf2a756f614a5c047d0a688b53f904b58e85024245778999fe77c5"
#: The largest program that is read, in bytes; with its model it has some 10 million.
_PROGRAM_BYTES_MAX = 512 << 20
_FIELD = re.compile(r"\{(\w*)\}")
_FIELDS = ("workload", "variant", "macs", "memory_mode")


class Programs:
    """The .axf for each job: one for all, or one per cell, from a pattern with placeholders."""

    def __init__(self, pattern: str) -> None:
        """`pattern` is a path that may contain `{workload}` and so on."""
        self._pattern = pattern

    @property
    def one_each(self) -> bool:
        """Whether every cell has its own program, which then holds the model."""
        return _FIELD.search(self._pattern) is not None

    def identity(self) -> str:
        """One sha256 over the program or programs, in the order of their names.

        It describes the programs as they were at the first call. Raises `PrerequisiteError` if
        there is none or a placeholder is unknown.
        """
        digest = hashlib.sha256()
        for sha256 in self._seen.values():
            digest.update(bytes.fromhex(sha256))
        return digest.hexdigest()

    def of(self, job: Job) -> bytes:
        """The program for `job`.

        Raises `PrerequisiteError` if it does not exist, `TargetError` if it is not the one that
        `identity` describes.
        """
        workload, variant, *_ = [*job.cell_id.split("-"), "", ""]
        values = {
            "workload": workload,
            "variant": variant,
            "macs": str(int(job.accelerator)),
            "memory_mode": job.memory_mode.slug,
        }
        path = Path(_FIELD.sub(lambda match: values[match[1]], self._pattern))
        content = _content(path)
        if hashlib.sha256(content).hexdigest() != self._seen.get(path):
            raise TargetError(
                f"the program {path} was changed while the bench was running", cure="run again"
            )
        return content

    @cached_property
    def _seen(self) -> dict[Path, str]:
        """The programs and their sha256."""
        unknown = [name for name in _FIELD.findall(self._pattern) if name not in _FIELDS]
        if unknown:
            raise PrerequisiteError(
                f"targets.fvp.axf: {{{unknown[0]}}} is not a placeholder",
                cure=f"use one of {', '.join('{' + name + '}' for name in _FIELDS)}",
            )
        found = self._all()
        if not found:
            raise PrerequisiteError(
                f"targets.fvp.axf: there is no {self._pattern}",
                cure="build it, or correct the path",
            )
        return {path: hashlib.sha256(_content(path)).hexdigest() for path in found}

    def _all(self) -> list[Path]:
        path = Path(_FIELD.sub("*", self._pattern))
        anchor = Path(path.anchor or ".")
        if not self.one_each:
            return [path] if path.is_file() else []
        return sorted(anchor.glob(str(path.relative_to(path.anchor))))


def _content(path: Path) -> bytes:
    try:
        return read_regular(path, _PROGRAM_BYTES_MAX)
    except OSError as error:
        raise PrerequisiteError(
            f"the program {path} cannot be read: {error.strerror}",
            cure="build it, or correct targets.fvp.axf",
        ) from error


def prebuilt_runner() -> Path | None:
    """Arm's built inference runner in the package `mlia-ethos-u`; None if it is not installed.

    Raises `PrerequisiteError` when it is not the file that this code was written for.
    """
    try:
        listed = files(_PACKAGE) or []
    except PackageNotFoundError:
        return None
    for item in listed:
        if item.as_posix().endswith(_PREBUILT):
            path = Path(str(item.locate()))
            digest = hashlib.sha256(_content(path)).hexdigest()
            if digest != _PREBUILT_SHA256:
                raise PrerequisiteError(
                    f"the runner in the package {_PACKAGE} has sha256 {digest}, not that of 0.1.0",
                    cure=f"install {_PACKAGE}==0.1.0, or name the program with targets.fvp.axf",
                )
            return path
    return None


def offer() -> str:
    """What helps with a graph that our firmware cannot run."""
    if prebuilt_runner() is not None:
        return (
            'set runner = "mlek" in [targets.fvp]: the runner in the installed package '
            f"{_PACKAGE} has an interpreter for the CPU's operators; or use target sim"
        )
    return (
        f'use target sim; or install {_PACKAGE}==0.1.0 and set runner = "mlek" in [targets.fvp]: '
        "its runner has an interpreter for the CPU's operators"
    )
