"""A whole answer: the frames of one run of the firmware, put together and checked.

A job's answer counts only if nothing was lost or damaged from its first frame to its last. So it
may be used even if the answers of other jobs were cut off.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from targets.jobs.errors import AnswerError
from targets.jobs.frames import Damaged, Event, Frame, Lost, Restarted, Text
from targets.jobs.payloads import (
    Data,
    End,
    ErrorAnswer,
    Hello,
    JobStart,
    Npu,
    OutputEnd,
    Pass,
    Result,
    Timing,
    parse_payload,
)

__all__ = ["Answers", "Collector", "ErrorAnswer", "JobAnswer", "OutputAnswer", "Pass"]

#: How many problems are kept word for word; more of them would add nothing.
_PROBLEMS_MAX = 50


@dataclass(frozen=True)
class OutputAnswer:
    """One output: its size and CRC-32, and its bytes if they were requested."""

    size: int
    crc32: int
    data: bytes | None


@dataclass(frozen=True)
class JobAnswer:
    """The device's answer to one job, complete and undamaged."""

    index: int
    name: str
    passes: tuple[Pass, ...]
    outputs: tuple[OutputAnswer, ...]
    timing: tuple[Timing, ...]
    ok: bool
    #: Every pass gave the same cycle count and the same outputs.
    stable: bool
    error: ErrorAnswer | None

    def counters(self) -> Mapping[int, tuple[int, ...]]:
        """Event number -> its count in each repetition."""
        counts: dict[int, list[int]] = {}
        for one in self.passes:
            for event, count in one.events:
                counts.setdefault(event, []).append(count)
        return {event: tuple(values) for event, values in counts.items()}

    def cycles(self) -> tuple[int, ...]:
        """The cycle counter of every pass, in order."""
        return tuple(one.cycles for one in self.passes)

    def require_sound(self, tolerance: float = 0.0) -> None:
        """Raise `AnswerError` unless the job ran, its passes agree and no counter overflowed.

        `tolerance` is the fraction by which the cycles of passes may differ. Their outputs must be
        equal.
        """
        if self.error is not None:
            raise AnswerError(f"job {self.name!r}: {self.error.sentence}")
        if not self.ok:
            raise AnswerError(f"job {self.name!r} failed without saying why")
        overflowed = next((one for one in self.passes if one.overflow), None)
        if overflowed is not None:
            raise AnswerError(
                f"job {self.name!r}: PMU counters overflowed (mask {overflowed.overflow:#x})"
            )
        if not (self.stable or self._nearly_stable(tolerance)):
            raise AnswerError(
                f"job {self.name!r}: its passes disagree: cycles {self.cycles()}, outputs' CRC-32 "
                f"{[f'{one.outputs_crc32:08X}' for one in self.passes]}",
                cure="counters of different passes do not belong together; look for what disturbs "
                "the device",
            )

    def _nearly_stable(self, tolerance: float) -> bool:
        if tolerance == 0:
            # Then the device's own statement counts.
            return False
        cycles = self.cycles()
        same_outputs = len({one.outputs_crc32 for one in self.passes}) == 1
        return same_outputs and max(cycles) - min(cycles) <= tolerance * min(cycles)


@dataclass(frozen=True)
class Answers:
    """The whole answer of one run of the firmware."""

    hello: Hello | None
    npu: Npu | None
    #: By index; without jobs whose answer was damaged or missing.
    jobs: Mapping[int, JobAnswer]
    #: Errors that do not belong to a job.
    errors: tuple[ErrorAnswer, ...]
    end: End | None
    #: Damage noticed on the way, in words.
    problems: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether the answer came to its end without damage."""
        return self.end is not None and not self.problems

    def job(self, index: int, tolerance: float = 0.0) -> JobAnswer:
        """The sound answer of a job; see `JobAnswer.require_sound` for `tolerance`.

        Raises `AnswerError`, which says why, if there is none.
        """
        if index in self.jobs:
            answer = self.jobs[index]
            answer.require_sound(tolerance)
            return answer
        if self.errors:
            raise AnswerError(self.errors[0].sentence)
        why = "; ".join(self.problems) or "the answer ended before it"
        raise AnswerError(
            f"no answer for job {index}: {why}",
            cure="see the log of the UART for what arrived",
        )


@dataclass
class _OpenJob:
    start: JobStart
    passes: list[Pass] = field(default_factory=list)
    timing: list[Timing] = field(default_factory=list)
    outputs: list[OutputAnswer] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)
    error: ErrorAnswer | None = None


class Collector:
    """Takes a `FrameParser`'s events; returns jobs as they are answered, and all at the end.

    `data_limit` bounds the bytes of outputs that are kept.
    """

    def __init__(self, data_limit: int = 256 << 20) -> None:
        self._room = data_limit
        self._hello: Hello | None = None
        self._npu: Npu | None = None
        self._jobs: dict[int, JobAnswer] = {}
        self._errors: list[ErrorAnswer] = []
        self._end: End | None = None
        self._problems: list[str] = []
        self._open: _OpenJob | None = None
        self._frames = 0

    @property
    def ended(self) -> bool:
        """Whether the last frame was seen."""
        return self._end is not None

    def add(self, events: Iterable[Event]) -> list[JobAnswer]:
        """Take events; returns the jobs they complete."""
        done = []
        for event in events:
            if isinstance(event, Frame):
                answer = self._frame(event)
                if answer is not None:
                    done.append(answer)
            elif not isinstance(event, Text):
                self._damage(_problem(event))
        return done

    def finish(self) -> Answers:
        """The whole answer. Raises nothing; `Answers.job` does."""
        problems = list(self._problems)
        if self._end is None:
            problems.append(f"the answer was cut off after {self._frames} frames")
        return Answers(
            self._hello,
            self._npu,
            dict(self._jobs),
            tuple(self._errors),
            self._end,
            tuple(problems),
        )

    def _damage(self, problem: str) -> None:
        self._open = None
        if len(self._problems) < _PROBLEMS_MAX:
            self._problems.append(problem)

    def _frame(self, frame: Frame) -> JobAnswer | None:
        self._frames += 1
        try:
            payload = parse_payload(json.dumps(dict(frame.payload)))
        except ValidationError as error:
            self._damage(f"frame {frame.number} has an unknown content: {error}")
            return None
        if isinstance(payload, Hello):
            self._hello = payload
        elif isinstance(payload, Npu):
            self._npu = payload
        elif isinstance(payload, End):
            self._end = payload
            if payload.frames != frame.number + 1:
                self._damage(f"{payload.frames} frames were sent, the last has {frame.number}")
        elif isinstance(payload, JobStart):
            self._open = _OpenJob(payload)
        elif payload.job is None:
            self._errors.append(payload)
        elif isinstance(payload, ErrorAnswer) and self._open is None:
            # The image as a whole was refused because of this job.
            self._errors.append(payload)
        else:
            return self._job_frame(payload)
        return None

    def _job_frame(
        self, payload: Timing | Pass | Data | OutputEnd | Result | ErrorAnswer
    ) -> JobAnswer | None:
        job = self._open
        if job is None or job.start.job != payload.job:
            # The rest of a damaged job; the damage has been reported.
            return None
        if isinstance(payload, Timing):
            job.timing.append(payload)
        elif isinstance(payload, Pass):
            job.passes.append(payload)
        elif isinstance(payload, ErrorAnswer):
            job.error = payload
        elif isinstance(payload, Data):
            self._data(job, payload)
        elif isinstance(payload, OutputEnd):
            self._output(job, payload)
        else:
            self._open = None
            answer = JobAnswer(
                index=payload.job,
                name=job.start.name,
                passes=tuple(job.passes),
                outputs=tuple(job.outputs),
                timing=tuple(job.timing),
                ok=payload.ok,
                stable=payload.stable,
                error=job.error,
            )
            self._jobs[payload.job] = answer
            return answer
        return None

    def _data(self, job: _OpenJob, payload: Data) -> None:
        try:
            data = base64.b64decode(payload.base64, validate=True)
        except binascii.Error as error:
            self._damage(f"job {payload.job}, output {payload.output}: {error}")
            return
        self._room -= len(data)
        if payload.at != len(job.data) or payload.output != len(job.outputs) or self._room < 0:
            self._damage(f"job {payload.job}, output {payload.output}: unexpected bytes")
            return
        job.data += data

    def _output(self, job: _OpenJob, payload: OutputEnd) -> None:
        data = bytes(job.data) if payload.sent == payload.bytes else None
        sound = len(job.data) == payload.sent and payload.output == len(job.outputs)
        if not sound or (data is not None and zlib.crc32(data) != payload.crc32):
            self._damage(f"job {payload.job}, output {payload.output} does not match its CRC-32")
            return
        job.data.clear()
        job.outputs.append(OutputAnswer(payload.bytes, payload.crc32, data))


def _problem(event: Damaged | Lost | Restarted) -> str:
    if isinstance(event, Damaged):
        return f"damaged frame ({event.reason}): {event.excerpt}"
    if isinstance(event, Lost):
        return f"lost: {event.count} frame(s) from number {event.first}"
    return "the device started again in the middle of its answer"
