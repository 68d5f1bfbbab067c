"""The port between the target and the software on the FVP's processor.

A runner knows one program: which files and options make the FVP run a model with it, and how to
read its output. It starts nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from targets.fvp.launch import Outcome
from targets.protocol import Job, Measurement, Source

__all__ = ["Process", "Runner", "RunnerJob"]


class Process(Protocol):
    """One FVP process of a job. Called again for every attempt: `begin`, `take`..., `finish`."""

    @property
    def files(self) -> Mapping[str, bytes]:
        """The files of its working directory, by name."""
        ...

    @property
    def arguments(self) -> tuple[str, ...]:
        """The options that name these files."""
        ...

    def begin(self) -> None:
        """Forget the output of an earlier attempt."""
        ...

    def take(self, data: bytes) -> bool:
        """Take output as it arrives; return whether it is complete. See `launch.Consumer`."""
        ...

    def finish(self, outcome: Outcome, directory: Path) -> None:
        """The process has ended: check its answer, and keep it if it is sound.

        Raises `MissingAnswerError` when there is none (the target then says why), and
        `InfrastructureError` when it arrived damaged. Any other `TargetError` is about the model or
        the device.
        """
        ...


class RunnerJob(Protocol):
    """One job of the bench, under one runner."""

    def processes(self) -> Iterator[Process]:
        """The processes to run, in this order; each is finished before the next is taken."""
        ...

    def measurement(self, source: Source, provenance: Mapping[str, str]) -> Measurement:
        """The measurement that all processes make together."""
        ...


class Runner(Protocol):
    """A program for the FVP."""

    @property
    def events(self) -> frozenset[str]:
        """Arm's names of the events it can count."""
        ...

    @property
    def no_streams(self) -> str:
        """Why it cannot run streams; empty if it can."""
        ...

    @property
    def executes_artefact(self) -> bool:
        """Whether it gives the outputs of the compiled model."""
        ...

    def identity(self) -> Mapping[str, str]:
        """The program's hash, for fingerprints and records. Raises `PrerequisiteError`."""
        ...

    def open(self, job: Job) -> RunnerJob:
        """Begin `job`. Raises `TargetError` when it cannot run under this runner."""
        ...
