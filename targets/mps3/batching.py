"""Jobs of the bench as units of work for a board: one inference each, packed into images."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median_low

from targets.ethos_u55.pmu_events import event_name
from targets.jobs.answers import JobAnswer
from targets.jobs.device_job import DeviceJob, Image
from targets.jobs.errors import AnswerError, JobError
from targets.jobs.image import build_image
from targets.jobs.inference import Inference
from targets.mps3.images_txt import JOB_WINDOW
from targets.protocol import Job, Measurement, Source

__all__ = ["Load", "Unit", "Work", "pack"]

#: What a device job takes in addition to its contents: a record, tables and padding.
_OVERHEAD = 1024
#: Answers of the firmware that another boot would not change.
_FINAL = frozenset({"macs_mismatch", "bad_job", "bad_format", "bad_length"})


@dataclass(frozen=True)
class Unit:
    """One inference: number `row` of job number `job`."""

    job: int
    row: int
    #: Whether it needs the state that the unit before it leaves: a later step of a stream.
    continues: bool = False


@dataclass(frozen=True)
class Load:
    """A job image, and the unit of each device job by the name that the firmware echoes."""

    image: bytes
    units: tuple[Unit, ...]
    names: tuple[str, ...]


class Work:
    """One job of the bench on the board."""

    def __init__(self, number: int, job: Job, repetitions: int) -> None:
        """Raises `JobError`, `ModelError` when the firmware cannot run the job."""
        self.job = job
        self._number = number
        self._inference = Inference(job, repetitions)
        self._missing = set(range(self._inference.rows))
        self._retried: set[int] = set()
        #: Streams of which a step has failed; their later steps have no meaning.
        self._broken: set[int] = set()
        self._first: JobAnswer | None = None
        smallest = [self._inference.device_job(row) for row in range(self._inference.steps)]
        size = len(build_image(Image(tuple(smallest))))
        if size > JOB_WINDOW:
            what = "one inference" if len(smallest) == 1 else f"a stream of {len(smallest)} steps"
            raise JobError(
                f"{job.cell_id}: {what} takes an image of {size:,} bytes; the board's "
                f"controller reaches {JOB_WINDOW:,} of the DDR",
                cure="measure this model on target fvp",
            )

    @property
    def units(self) -> tuple[Unit, ...]:
        """The inferences without an answer so far, in order; of streams, all steps."""
        steps = self._inference.steps
        streams = sorted({row // steps for row in self._missing})
        return tuple(
            Unit(self._number, stream * steps + step, continues=step > 0)
            for stream in streams
            for step in range(steps)
        )

    @property
    def complete(self) -> bool:
        """Whether every inference was answered."""
        return not self._missing

    def device_job(self, row: int) -> DeviceJob:
        """The device job of one inference."""
        return self._inference.device_job(row)

    def take(self, row: int, answer: JobAnswer) -> bool:
        """Keep a sound answer; returns whether it was sound.

        The answer to a step of a stream counts only if no step before it has failed; when a stream
        begins anew, its earlier answers are forgotten. An inference that failed once may succeed
        after another boot, so a first error only leaves it unanswered. Raises `AnswerError` for a
        second error, and for one that no boot changes.
        """
        steps = self._inference.steps
        stream = row // steps
        if row % steps == 0:
            self._broken.discard(stream)
            self._missing.update(range(row, row + steps))
        elif stream in self._broken:
            return False
        problem = _problem(answer)
        if problem is None:
            self._inference.keep(row, answer)
            self._missing.discard(row)
            if row == 0:
                self._first = answer
            return True
        final = answer.error is not None and answer.error.code in _FINAL
        if final or row in self._retried:
            raise AnswerError(f"{self.job.cell_id}: {problem}")
        self._retried.add(row)
        self._broken.add(stream)
        return False

    def measurement(
        self,
        source: Source,
        *,
        max_spread: float,
        unavailable: Mapping[str, str],
        provenance: Mapping[str, str],
    ) -> Measurement:
        """Median counters of the first inference, and all outputs.

        Raises `AnswerError` when a counter differs between repetitions by more than `max_spread`
        of its median.
        """
        spread = _spread(self._first)
        for name, (median, width) in spread.items():
            if width > max_spread * max(median, 1):
                raise AnswerError(
                    f"{self.job.cell_id}: {name} differs by {width:,} between repetitions, median "
                    f"{median:,}: more than {max_spread:.2%}",
                    cure="look for what disturbs the board, or raise targets.mps3.max_spread",
                )
        widest = max((width for _, width in spread.values()), default=0)
        text = ", ".join(f"{name} +-{width:,}" for name, (_, width) in spread.items() if width)
        repeated = (
            len(self._first.counters().get(_any_event(self._first), ())) if self._first else 0
        )
        return self._inference.measurement(
            source,
            unavailable=unavailable,
            provenance={
                "outputs": "the compiled model, run by the bench's firmware",
                "repetitions": str(max(repeated, 1)),
                "spread": f"largest minus smallest: {text}" if widest else "none",
                **provenance,
            },
        )


def _any_event(answer: JobAnswer) -> int:
    return next(iter(answer.counters()), -1)


def _problem(answer: JobAnswer) -> str | None:
    """What is wrong with an answer. On a real board, passes may differ in cycles, not outputs."""
    if answer.error is not None:
        return answer.error.sentence
    if not answer.ok:
        return "the job failed without saying why"
    overflowed = next((one for one in answer.passes if one.overflow), None)
    if overflowed is not None:
        return f"PMU counters overflowed (mask {overflowed.overflow:#x})"
    if len({one.outputs_crc32 for one in answer.passes}) > 1:
        return "its passes gave different outputs"
    return None


def _spread(answer: JobAnswer | None) -> dict[str, tuple[int, int]]:
    """Event name -> median, and largest minus smallest, over the repetitions."""
    if answer is None:
        return {}
    return {
        event_name(number): (median_low(counts), max(counts) - min(counts))
        for number, counts in answer.counters().items()
    }


def pack(works: Sequence[Work], image_bytes: int, uart_divider: int | None = None) -> Load:
    """As many unanswered units as fit into an image of `image_bytes`, in order; at least one.

    The steps of a stream stay together.

    A model's stream and constants count once, however many units share them. Names contain a token
    of this image, so an answer to another image cannot be mistaken for an answer to this one.
    """
    token = secrets.token_hex(4)
    units: list[Unit] = []
    jobs: list[DeviceJob] = []
    size = 0
    shared: set[int] = set()
    for work, group in _groups(works):
        group_jobs = [work.device_job(unit.row) for unit in group]
        size += sum(_OVERHEAD + sum(len(item.data) for item in job.inputs) for job in group_jobs)
        if group[0].job not in shared:
            shared.add(group[0].job)
            size += len(group_jobs[0].commands) + len(group_jobs[0].flash)
        if units and size > image_bytes:
            break
        units += group
        jobs += [
            replace(job, name=f"{token}.{unit.job}.{unit.row}")
            for job, unit in zip(group_jobs, group, strict=True)
        ]
    image = build_image(Image(tuple(jobs), uart_divider=uart_divider))
    return Load(image, tuple(units), tuple(job.name for job in jobs))


def _groups(works: Sequence[Work]) -> Iterator[tuple[Work, list[Unit]]]:
    """The unanswered units; those that need each other's state together."""
    for work in works:
        group: list[Unit] = []
        for unit in work.units:
            if group and not unit.continues:
                yield work, group
                group = []
            group.append(unit)
        if group:
            yield work, group
