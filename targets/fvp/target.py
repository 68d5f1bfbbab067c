"""Target `fvp`: Arm's Corstone-300 FVP, or any program with its command line."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from bench.core.errors import BenchError, PrerequisiteError
from bench.tflite.reference import Reference
from targets.fvp.attempts import Attempts
from targets.fvp.axf import Programs, prebuilt_runner
from targets.fvp.command import bench_options
from targets.fvp.containers.launcher import ContainerLauncher, ContainerSettings
from targets.fvp.diagnosis import diagnose, known_failure
from targets.fvp.find import find_executable
from targets.fvp.firmware_runner import FirmwareRunner
from targets.fvp.launch import Ending, Launch, Launcher, Limits
from targets.fvp.local import LocalLauncher
from targets.fvp.logged_runners import EXECUTORCH, MLEK, LoggedRunner
from targets.fvp.runner import Runner
from targets.protocol import Capabilities, Job, Measurement, Source
from targets.settings.fvp import FvpSettings, RunnerName

__all__ = ["FvpTarget"]

_VERSION_LIMITS = Limits(seconds=120, output_bytes=1 << 20, log_bytes=1 << 20)
#: The words by which a stand-in for Arm's FVP, such as our virtual platform, is recognised.
_STAND_IN = "not an Arm product"
_ARM = "Fast Models"
_LEGAL = re.compile(r"(?i)copyright|all rights reserved")


class FvpTarget:
    """The FVP behind the `Target` protocol: one process for each batch of inferences."""

    def __init__(self, settings: FvpSettings, logs: Path, reference: Reference) -> None:
        """`reference` gives the outputs if the user's program gives none."""
        self._settings = settings
        self._logs = logs
        self._reference = reference

    def capabilities(self) -> Capabilities:
        """Every accelerator and memory mode; the events its runner counts."""
        return Capabilities(
            name="fvp",
            source=Source.FVP,
            events=self._runner.events,
            executes_artefact=self._runner.executes_artefact,
            samples=self._settings.samples or None,
            no_streams=self._runner.no_streams,
        )

    def fingerprint(self) -> Mapping[str, str]:
        """The executable or image, its version, the program on it, and the relevant settings."""
        settings = {
            "parameters": self._settings.parameters,
            "environment": self._settings.environment,
            "runner": self._settings.runner.value,
            "cycle_tolerance": self._settings.cycle_tolerance,
        }
        return {
            "version": self._version,
            "settings": hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
            **self._launcher.identity(),
            **self._runner.identity(),
        }

    def programs(self) -> Sequence[str]:
        """None: our virtual platform, in an FVP's place, tells its own sources as its version."""
        return ()

    def prepare(self) -> None:
        """Find the executable or image, and start it once to ask its version.

        Raises `PrerequisiteError` when there is none or it does not start, with the cure.
        """
        self._runner.identity()
        self._launcher.identity()
        _ = self._version

    def run(self, job: Job) -> Measurement:
        """Run the job's inferences, in as many processes as they take.

        Raises `TargetError` when the model does not fit the runner, when the device reports an
        error, or when the answer does not arrive; the message names the log.
        """
        options = bench_options(job.accelerator, self._settings.parameters)
        begun = self._runner.open(job)
        attempts = Attempts(
            self._launcher,
            Limits(seconds=self._settings.timeout_s),
            self._settings.retries,
            self._settings.seats,
        )
        command: tuple[str, ...] = ()
        for process in begun.processes():
            try:
                attempts.run(process, options, self._logs / job.cell_id)
            except BenchError as error:
                raise type(error)(f"{job.cell_id}: {error.what}", cure=error.cure) from error
            command = command or (*process.arguments, *options)
        measured = begun.measurement(self._source, self._provenance(command))
        if measured.source is not Source.SIMULATED:
            return measured
        return replace(measured, kinds=dict.fromkeys(measured.counters, "modelled"))

    def close(self) -> None:
        """Nothing is left running between jobs."""

    @cached_property
    def _runner(self) -> Runner:
        settings = self._settings
        if settings.runner is RunnerName.BENCH:
            return FirmwareRunner(settings.inferences_per_process, settings.cycle_tolerance)
        program = MLEK if settings.runner is RunnerName.MLEK else EXECUTORCH
        return LoggedRunner(program, Programs(settings.axf or _prebuilt()), self._reference)

    @property
    def _source(self) -> Source:
        """Our own virtual platform simulates: its figures are never called the FVP's."""
        return Source.SIMULATED if _STAND_IN in self._version else Source.FVP

    def _provenance(self, arguments: tuple[str, ...]) -> dict[str, str]:
        """What a reader needs to repeat the run; no paths of this machine."""
        program, *rest = self._launcher.command(arguments)
        return {
            "fvp": self._version,
            "command": shlex.join([Path(program).name, *rest]),
            **self._launcher.identity(),
            **self._runner.identity(),
        }

    @cached_property
    def _launcher(self) -> Launcher:
        settings = self._settings
        if settings.container is None:
            executable = find_executable(settings.executable)
            return LocalLauncher((str(executable),), settings.environment)
        container = settings.container
        return ContainerLauncher(
            ContainerSettings(
                image=container.image,
                engine=container.engine,
                executable=container.executable,
                memory=container.memory,
                environment=settings.environment,
            )
        )

    @cached_property
    def _version(self) -> str:
        """What the executable says about itself, on one line."""
        with tempfile.TemporaryDirectory(prefix="bench-fvp-") as name:
            directory = Path(name, "work")
            directory.mkdir()
            launch = Launch(("--version",), directory, Path(name, "log"), _VERSION_LIMITS)
            outcome = self._launcher.run(launch, lambda data: False)
        lines = [line.strip() for line in outcome.excerpt.splitlines()]
        said = "; ".join(line for line in lines if line and not _LEGAL.search(line))
        # The exit status of --version is not documented; Arm's models print their name.
        sound = outcome.ending is Ending.EXITED and (outcome.status == 0 or _ARM in said)
        if not sound or not said or known_failure(outcome.excerpt) is not None:
            error = diagnose(outcome, _VERSION_LIMITS, "it did not print its version (--version)")
            raise PrerequisiteError(f"target fvp: {error.what}", cure=error.cure)
        return said[:300]


def _prebuilt() -> str:
    found = prebuilt_runner()
    if found is None:
        raise PrerequisiteError(
            "runner mlek: no program is named, and the package mlia-ethos-u is not installed",
            cure="set targets.fvp.axf, or install mlia-ethos-u==0.1.0",
        )
    return str(found)
