"""From a `Job` of the bench to device jobs, and from their answers to a `Measurement`.

The firmware runs one inference per device job. A bench job of n inferences becomes images with k
device jobs each, which share one copy of the command stream and constants. The first inference is
measured: the NPU has four event counters, so it runs once for every four events. The others run
once each, for their outputs; the cycle counter shows that they took the same time.

An inference starts from a cleared arena. In a stream only the first step does. The others find the
arena as the last step has left it, and with it the model's state, so a stream is never cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from statistics import median_low

import numpy as np

from bench.core.arrays import Array
from bench.core.rows import MISFIT_CURE, leading_of, misfit, row_shape
from targets.artefact import Artefact, load_artefact
from targets.ethos_u55.pmu_events import EVENT_NUMBERS
from targets.jobs.answers import Answers, JobAnswer
from targets.jobs.compiled import inputs_for, job_for, state_at_start
from targets.jobs.device_job import DeviceJob, TimingAdapter
from targets.jobs.errors import AnswerError, JobError
from targets.jobs.memory import JOB_BYTES_MAX
from targets.jobs.timing import axi_limits, timing_adapters
from targets.protocol import Job, Measurement, Source

__all__ = ["Batch", "BatchLimits", "Inference"]

_UNKNOWN = "an Ethos-U55 has no event of this name"
#: What a device job takes in addition to its input's bytes: a record, tables and padding.
_BYTES_A_JOB = 640


@dataclass(frozen=True)
class BatchLimits:
    """How much goes into one image."""

    #: Device jobs in one image.
    jobs: int = 1000
    #: Bytes of one image, including its constants; at least one job goes into an image.
    image_bytes: int = JOB_BYTES_MAX // 4


@dataclass(frozen=True)
class Batch:
    """Inferences `[start, stop)` of a bench job, one device job each, in this order."""

    start: int
    stop: int
    jobs: tuple[DeviceJob, ...]


class Inference:
    """One bench job on a device: its batches, and the answers to them."""

    def __init__(self, job: Job, repetitions: int = 1) -> None:
        """Read the compiled model and check that the job fits it.

        The first inference is measured `repetitions` times; its counters are then medians.

        Raises `JobError` when model, inputs or accelerator do not belong together, or the firmware
        cannot run the model; `ModelError` when the file cannot be read.
        """
        self._job = job
        self._artefact = load_artefact(job.compiled_model)
        self._inputs, self._leading = _unrolled(self._artefact, job)
        self._events = {name: EVENT_NUMBERS[name] for name in job.events if name in EVENT_NUMBERS}
        self._timing = timing_adapters(job.timing, job.memory_mode)
        first = job_for(
            self._artefact,
            self._values(0),
            name="input-0",
            memory_mode=job.memory_mode,
            events=list(self._events.values()),
            timing=self._timing,
            repetitions=repetitions,
        )
        self._first = replace(first, axi_limits=axi_limits(job.timing, job.memory_mode))
        self._answers: dict[int, JobAnswer] = {}

    @property
    def rows(self) -> int:
        """How many inferences there are, of all rows or of all steps of all streams."""
        return len(self._inputs[0])

    @property
    def steps(self) -> int:
        """How many inferences in sequence must run one after another: the steps of a stream."""
        return prod(self._leading[1:])

    @property
    def timing(self) -> tuple[TimingAdapter, TimingAdapter]:
        """The values for the timing adapters."""
        return self._timing

    def batches(self, limits: BatchLimits) -> Iterator[Batch]:
        """All inferences in order, in as few images as `limits` allow; streams whole."""
        first = self._first
        shared = len(first.commands) + len(first.flash) + _BYTES_A_JOB
        each = sum(len(item.data) for item in first.inputs) + _BYTES_A_JOB
        streams = min(limits.jobs, (limits.image_bytes - shared) // each) // self.steps
        room = self.steps * max(1, streams)
        for start in range(0, self.rows, room):
            stop = min(start + room, self.rows)
            jobs = tuple(self.device_job(row) for row in range(start, stop))
            yield Batch(start, stop, jobs)

    def take(self, batch: Batch, answers: Answers, tolerance: float = 0.0) -> None:
        """Keep the sound answers to `batch`. Raises `AnswerError` for the first that is not.

        `tolerance`: see `JobAnswer.require_sound`.
        """
        for index in range(batch.stop - batch.start):
            self.keep(batch.start + index, answers.job(index, tolerance))

    def keep(self, row: int, answer: JobAnswer) -> None:
        """Take `answer` as the answer to `row`; the caller has checked it."""
        self._answers[row] = answer

    def device_job(self, row: int) -> DeviceJob:
        """The device job of inference `row`."""
        if row == 0:
            return self._first
        first = row % self.steps == 0
        state = state_at_start(self._artefact) if first else ()
        return replace(
            self._first,
            name=f"input-{row}",
            inputs=(*state, *inputs_for(self._artefact, self._values(row))),
            events=(),
            repetitions=1,
            clear_arena=first,
        )

    def cycles(self) -> Mapping[int, int]:
        """Cycle count -> how many of the answered rows took that many cycles."""
        return Counter(answer.cycles()[0] for answer in self._answers.values())

    def require_same_cycles(self, tolerance: float = 0.0) -> None:
        """Raise `AnswerError` unless all rows took the same cycles, within a fraction of them.

        An Ethos-U55 skips nothing by value, so its time does not depend on its input.
        """
        counts = self.cycles()
        if max(counts) - min(counts) > tolerance * min(counts):
            raise AnswerError(
                f"{self._job.cell_id}: the inferences took different numbers of cycles, "
                f"{min(counts)} to {max(counts)}, though an NPU's time does not depend on its "
                "input",
                cure="look for what disturbs the device; counters of one run do not repeat",
            )

    def measurement(
        self,
        source: Source,
        *,
        unavailable: Mapping[str, str],
        provenance: Mapping[str, str],
    ) -> Measurement:
        """The measurement that all answers make together. Counters are the first inference's.

        `unavailable` names events that the device does not count, with the reasons. Raises
        `AnswerError` while inferences are missing.
        """
        answers = self._answers
        missing = [row for row in range(self.rows) if row not in answers]
        if missing:
            raise AnswerError(f"{self._job.cell_id}: no answer for input {missing[0]}")
        counted = answers[0].counters()
        counters: dict[str, int] = {}
        absent: dict[str, str] = {}
        for name in self._job.events:
            number = self._events.get(name)
            if number is None:
                absent[name] = _UNKNOWN
            elif name in unavailable:
                absent[name] = unavailable[name]
            else:
                counters[name] = median_low(counted[number])
        return Measurement(
            source=source,
            outputs=self._outputs(),
            counters=counters,
            unavailable=absent,
            provenance={
                "passes": str(len(answers[0].passes)),
                "timing": f"timing adapters programmed with profile {self._job.timing_name}",
                **provenance,
            },
        )

    def _outputs(self) -> tuple[Array, ...]:
        """One array for each model output, `[n, ...]` or `[n, steps, ...]`."""
        answers = [self._answers[row] for row in range(self.rows)]
        columns = []
        for index, number in enumerate(self._artefact.outputs):
            tensor = self._artefact.tensors[number]
            data = b"".join(_bytes_of(answer, index) for answer in answers)
            flat = np.frombuffer(data, np.dtype(tensor.dtype).newbyteorder("<"))
            native = flat.astype(np.dtype(tensor.dtype))
            columns.append(native.reshape(*self._leading, *row_shape(tensor)))
        return tuple(columns)

    def _values(self, row: int) -> list[Array]:
        return [array[row] for array in self._inputs]


def _bytes_of(answer: JobAnswer, output: int) -> bytes:
    data = answer.outputs[output].data if output < len(answer.outputs) else None
    if data is None:
        raise AnswerError(f"job {answer.name!r}: output {output} was not sent")
    return data


def _unrolled(artefact: Artefact, job: Job) -> tuple[list[Array], tuple[int, ...]]:
    """The job's inputs, checked against the model: `[inferences, ...]`, and their leading sizes."""
    macs = int(job.accelerator)
    if artefact.macs not in (None, macs):
        raise JobError(
            f"{artefact.name} was compiled for an Ethos-U55 of {artefact.macs} MACs; it cannot run "
            f"on one of {macs}",
            cure=f"compile it with --accelerator-config {job.accelerator.vela_name}",
        )
    tensors = [artefact.tensors[index] for index in artefact.inputs]
    problem = misfit(tensors, job.inputs)
    if problem:
        raise JobError(f"{artefact.name}: {problem}", cure=MISFIT_CURE)
    leading = job.inputs[0].shape[: len(leading_of(tensors, job.inputs))]
    unrolled = [
        array.reshape(prod(leading), *row_shape(tensor))
        for tensor, array in zip(tensors, job.inputs, strict=True)
    ]
    return unrolled, leading
