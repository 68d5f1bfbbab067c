"""Jobs as units of work for a board: packing, medians and spreads, what is tried again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from targets.ethos_u55.pmu_events import event_number
from targets.jobs.answers import ErrorAnswer, JobAnswer, OutputAnswer
from targets.jobs.errors import AnswerError
from targets.jobs.payloads import Pass
from targets.mps3.batching import Work, pack
from targets.protocol import Job, Measurement, Source
from tests.support.boards.jobs import small_board_job
from tests.support.jobs.images import read_image

ACTIVE, READ = event_number("NPU_ACTIVE"), event_number("AXI0_RD_DATA_BEAT_RECEIVED")


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    made = small_board_job(tmp_path_factory.mktemp("job"), rows=3)
    return replace(made, events=("NPU_ACTIVE", "AXI0_RD_DATA_BEAT_RECEIVED"))


def passed(cycles: int, reads: int, crc: int = 1, overflow: int = 0) -> Pass:
    events = ((ACTIVE, cycles), (READ, reads))
    return Pass.model_validate(
        {
            "kind": "pass",
            "job": 0,
            "repetition": 0,
            "pass": 0,
            "status": 0,
            "cycles": cycles,
            "overflow": overflow,
            "outputs_crc32": crc,
            "events": events,
        }
    )


def answer(*passes: Pass, error: ErrorAnswer | None = None) -> JobAnswer:
    return JobAnswer(
        index=0,
        name="x",
        passes=passes,
        outputs=(OutputAnswer(10, 0, bytes(10)),),
        timing=(),
        ok=error is None,
        stable=False,
        error=error,
    )


def error(code: str) -> ErrorAnswer:
    text = {"kind": "error", "code": code, "job": 0, "npu_macs": 64, "job_macs": 128}
    return ErrorAnswer.model_validate(text)


def measured(job: Job, first: JobAnswer, max_spread: float = 0.01) -> Measurement:
    work = Work(0, job, 3)
    for unit in work.units:
        assert work.take(unit.row, first if unit.row == 0 else answer(passed(100, 1)))
    assert work.complete
    return work.measurement(
        Source.BOARD, max_spread=max_spread, unavailable={}, provenance={"board": "b"}
    )


def test_the_median_is_reported_with_the_spread(job: Job) -> None:
    made = measured(job, answer(passed(1002, 50), passed(1000, 50), passed(1009, 50)))
    assert made.counters == {"NPU_ACTIVE": 1002, "AXI0_RD_DATA_BEAT_RECEIVED": 50}
    assert made.provenance["repetitions"] == "3"
    assert made.provenance["spread"] == "largest minus smallest: NPU_ACTIVE +-9"
    assert made.source is Source.BOARD
    same = measured(job, answer(passed(1000, 50), passed(1000, 50), passed(1000, 50)))
    assert same.provenance["spread"] == "none"


def test_a_wide_spread_is_an_error_and_no_figure(job: Job) -> None:
    noisy = answer(passed(1000, 50), passed(1000, 50), passed(1100, 50))
    with pytest.raises(AnswerError, match=r"NPU_ACTIVE differs by 100 .* median 1,000: .* 1\.00%"):
        measured(job, noisy)
    assert measured(job, noisy, max_spread=0.2).counters["NPU_ACTIVE"] == 1000


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (answer(passed(1, 1, crc=1), passed(1, 1, crc=2)), "gave different outputs"),
        (answer(passed(1, 1, overflow=1)), "overflowed"),
        (answer(error=error("npu_fault")), "the NPU stopped"),
    ],
)
def test_what_went_wrong_is_tried_once_more(job: Job, bad: JobAnswer, message: str) -> None:
    work = Work(0, job, 1)
    assert not work.take(1, bad)
    assert [unit.row for unit in work.units] == [0, 1, 2]
    with pytest.raises(AnswerError, match=message):
        work.take(1, bad)
    again = Work(0, job, 1)
    assert not again.take(1, bad)
    assert again.take(1, answer(passed(1, 1)))
    assert [unit.row for unit in again.units] == [0, 2]


def test_what_no_boot_changes_is_not_tried_again(job: Job) -> None:
    with pytest.raises(AnswerError, match="64 MACs/cc, the model was compiled for 128"):
        Work(0, job, 1).take(0, answer(error=error("macs_mismatch")))


def test_an_image_holds_what_fits_and_a_model_once(job: Job) -> None:
    works = [Work(number, job, 1) for number in range(4)]
    whole = pack(works, 1 << 20)
    assert len(whole.units) == 12
    assert len(set(whole.names)) == 12
    jobs = read_image(whole.image).jobs
    assert [one.name for one in jobs] == list(whole.names)
    assert len(whole.image) < 12 * len(jobs[0].flash) + 12 * 1024
    few = pack(works, 6000)
    assert 1 < len(few.units) < 12
    assert few.units == whole.units[: len(few.units)]
    assert len(few.image) <= 6000
    assert len(pack(works, 1).units) == 1, "at least one"


def test_two_images_of_the_same_units_do_not_take_each_others_answers(job: Job) -> None:
    work = Work(0, job, 1)
    assert not set(pack([work], 1 << 20).names) & set(pack([work], 1 << 20).names)


def test_the_uart_s_divider_reaches_the_firmware(job: Job) -> None:
    work = Work(0, job, 1)
    assert read_image(pack([work], 1 << 20, 278).image).uart_divider == 278
    assert read_image(pack([work], 1 << 20).image).uart_divider is None


@pytest.fixture
def stream(job: Job) -> Work:
    """One stream of three steps."""
    return Work(0, replace(job, inputs=tuple(array[None] for array in job.inputs)), 1)


def test_a_stream_is_repeated_whole(stream: Work) -> None:
    sound = answer(passed(100, 1))
    assert stream.take(0, sound)
    assert not stream.take(1, answer(error=error("watchdog")))
    assert not stream.take(2, sound), "a step after a failed one means nothing"
    assert [unit.row for unit in stream.units] == [0, 1, 2]
    for row in range(3):
        assert not stream.complete
        assert stream.take(row, sound)
    assert stream.complete


def test_a_stream_whose_answer_got_lost_is_not_complete_before_its_end(stream: Work) -> None:
    sound = answer(passed(100, 1))
    for row in (0, 2):
        assert stream.take(row, sound)
    assert [unit.row for unit in stream.units] == [0, 1, 2]
    for row in (0, 1):
        assert stream.take(row, sound)
        assert not stream.complete
    assert stream.take(2, sound)
    assert stream.complete


def test_a_step_that_fails_twice_fails_the_job(stream: Work) -> None:
    bad, sound = answer(error=error("watchdog")), answer(passed(100, 1))
    assert stream.take(0, sound)
    assert not stream.take(1, bad)
    assert stream.take(0, sound)
    with pytest.raises(AnswerError):
        stream.take(1, bad)


def test_streams_are_packed_whole(job: Job) -> None:
    streams = Work(
        0,
        replace(job, inputs=tuple(a.reshape(3, 1, *a.shape[1:]).repeat(2, 1) for a in job.inputs)),
        1,
    )
    packed = [unit.row for unit in pack([streams], image_bytes=1).units]
    assert packed == [0, 1]
    assert [unit.row for unit in pack([streams], image_bytes=1 << 20).units] == list(range(6))
