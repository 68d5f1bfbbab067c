"""The bench's own firmware on the FVP: any model, any number of events, every output."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.core.errors import TargetError
from targets.ethos_u55.pmu_events import EVENT_NUMBERS, event_name
from targets.firmware import firmware_elf, firmware_sha256
from targets.fvp.axf import offer
from targets.fvp.errors import InfrastructureError, MissingAnswerError
from targets.fvp.launch import Outcome
from targets.jobs.answers import Answers, Collector
from targets.jobs.device_job import Image
from targets.jobs.errors import UnsupportedGraphError
from targets.jobs.frames import FrameParser
from targets.jobs.image import build_image
from targets.jobs.inference import Batch, BatchLimits, Inference
from targets.jobs.memory import JOB_LOAD_ADDRESS
from targets.protocol import Job, Measurement, Source

__all__ = ["FirmwareRunner"]

_FIRMWARE = "firmware.elf"
_IMAGE = "job.bin"
#: The project's own virtual platform says which events counted 0 because it does not model them.
_NOT_MODELLED = re.compile(r"PMU event ([0-9]{1,4}) is not modelled")


class FirmwareRunner:
    """Loads job images next to the firmware, and reads its frames."""

    def __init__(self, inferences: int, tolerance: float) -> None:
        """`inferences` are made in one process; `tolerance` is as for `JobAnswer.require_sound`."""
        self._limits = BatchLimits(jobs=inferences)
        self._tolerance = tolerance

    @property
    def events(self) -> frozenset[str]:
        """All events of the NPU."""
        return frozenset(EVENT_NUMBERS)

    @property
    def no_streams(self) -> str:
        """It runs them."""
        return ""

    @property
    def executes_artefact(self) -> bool:
        """It does."""
        return True

    def identity(self) -> Mapping[str, str]:
        """The firmware's hash."""
        return {"firmware": firmware_sha256()}

    def open(self, job: Job) -> FirmwareJob:
        """Begin `job`. Raises `JobError` for a model that the firmware cannot run."""
        try:
            return FirmwareJob(job, self._limits, self._tolerance)
        except UnsupportedGraphError as error:
            raise UnsupportedGraphError(error.what, cure=offer()) from error


class FirmwareJob:
    """One job of the bench: one process for each image of device jobs."""

    def __init__(self, job: Job, limits: BatchLimits, tolerance: float) -> None:
        self._inference = Inference(job)
        self._limits = limits
        self._tolerance = tolerance
        self._unmodelled: dict[str, str] = {}

    def processes(self) -> Iterator[FirmwareProcess]:
        """See `RunnerJob.processes`."""
        for batch in self._inference.batches(self._limits):
            yield FirmwareProcess(self._inference, batch, self._tolerance, self._unmodelled)

    def measurement(self, source: Source, provenance: Mapping[str, str]) -> Measurement:
        """See `RunnerJob.measurement`. Raises `AnswerError` when inferences differ in cycles."""
        self._inference.require_same_cycles(self._tolerance)
        counts = self._inference.cycles()
        if len(counts) > 1:
            provenance = {
                **provenance,
                "spread": f"the inferences took {min(counts)} to {max(counts)} cycles",
            }
        return self._inference.measurement(
            source,
            unavailable=self._unmodelled,
            provenance={"outputs": "the compiled model, run by the bench's firmware", **provenance},
        )


class FirmwareProcess:
    """One image of device jobs."""

    def __init__(
        self, inference: Inference, batch: Batch, tolerance: float, unmodelled: dict[str, str]
    ) -> None:
        self._inference = inference
        self._batch = batch
        self._tolerance = tolerance
        self._unmodelled = unmodelled
        self._parser, self._collector = FrameParser(), Collector()

    @property
    def files(self) -> Mapping[str, bytes]:
        """The firmware and the image."""
        image = build_image(Image(self._batch.jobs))
        return {_FIRMWARE: firmware_elf(), _IMAGE: image}

    @property
    def arguments(self) -> tuple[str, ...]:
        """Program and data."""
        return ("-a", _FIRMWARE, "--data", f"{_IMAGE}@{JOB_LOAD_ADDRESS:#x}")

    def begin(self) -> None:
        """A new device, without output so far."""
        self._parser, self._collector = FrameParser(), Collector()

    def take(self, data: bytes) -> bool:
        """Frames, cut anywhere."""
        self._collector.add(self._parser.feed(data))
        return self._collector.ended

    def finish(self, outcome: Outcome, directory: Path) -> None:
        """All answers of the batch, if all arrived complete."""
        self._collector.add(self._parser.finish())
        answers = self._collector.finish()
        _raise_what_the_device_said(answers)
        count = len(self._batch.jobs)
        if answers.end is None:
            raise MissingAnswerError(
                f"{len(answers.jobs)} of {count} inferences were answered, {answers.problems[-1]}"
            )
        if not answers.complete:
            raise InfrastructureError(
                f"the answer arrived damaged: {'; '.join(answers.problems[:3])}",
                cure="see the log for what arrived",
            )
        self._inference.take(self._batch, answers, self._tolerance)
        for number in _NOT_MODELLED.findall(outcome.excerpt):
            name = event_name(int(number))
            self._unmodelled[name] = "not modelled by the virtual platform"


def _raise_what_the_device_said(answers: Answers) -> None:
    """Raise the first error that the firmware itself reports; a retry would not change it."""
    if answers.errors:
        raise TargetError(answers.errors[0].sentence, cure=_cure(answers.errors[0].code))
    for answer in answers.jobs.values():
        if answer.error is not None:
            raise TargetError(
                f"{answer.name}: {answer.error.sentence}", cure=_cure(answer.error.code)
            )


def _cure(code: str) -> str:
    return {
        "no_npu": "the platform has no Ethos-U55; an Ethos-U65 or U85 has other registers",
        "macs_mismatch": "check whether something other than the bench sets ethosu.num_macs",
        "timing_adapter": "this FVP is not a Corstone-300, or has no timing adapters",
        "watchdog": "the command stream never ends on this NPU; the log has its state",
        "npu_fault": "the command stream asks for what this NPU refuses; try target sim, which "
        "names the operation",
    }.get(code, "")
