"""The shipped firmware on the virtual machine: what it does with jobs, good and bad."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.jobs.answers import ErrorAnswer
from targets.jobs.device_job import (
    AxiLimit,
    DeviceJob,
    Image,
    Input,
    Output,
    OutputMode,
    RegionBase,
    Space,
    TimingAdapter,
)
from targets.jobs.errors import AnswerError
from targets.jobs.image import build_image
from targets.virtual.backend import Channel, NpuFault, NpuOutcome
from tests.support.fvp.firmware_runs import (
    ISRAM,
    AddOne,
    Settings,
    job,
    run_firmware,
    run_image,
)

#: Words of a job's record, by the name of its field in job_format.h.
FIELDS = {"macs": 2, "commands_bytes": 4, "arena_address": 8, "arena_bytes": 9, "repetitions": 11}
HEADER_BYTES = 64


def only_error(answers: object) -> ErrorAnswer:
    errors = answers.errors  # type: ignore[attr-defined]
    assert len(errors) == 1
    return errors[0]  # type: ignore[no-any-return]


def with_words(image: bytes, words: dict[int, int]) -> bytes:
    """`image` with some words changed (by their byte offset), its CRC-32 made right again."""
    changed = bytearray(image[:-4])
    for at, word in words.items():
        struct.pack_into("<I", changed, at, word)
    return bytes(changed) + struct.pack("<I", zlib.crc32(changed))


def test_a_job_is_run_and_answered() -> None:
    backend = AddOne()
    ran = run_image(Image((job(),)), backend)
    answer = ran.answers.job(0)
    assert ran.answers.complete
    assert answer.name == "add-one"
    assert answer.outputs[0].data == bytes(range(1, 17))
    assert answer.cycles() == (5,)
    assert backend.requests[0].commands == bytes(range(16))
    assert backend.found == [(bytes(range(100, 116)), bytes(range(16)))]
    assert ran.uart.endswith(b"\x04EXITTHESIM\r\n")
    assert ran.uart.count(b"\n") == ran.uart.count(b"\r\n")


def test_registers_hold_what_the_job_says() -> None:
    backend = AddOne()
    adapters = (TimingAdapter(*range(1, 11)), TimingAdapter(*range(11, 21)))
    limits = (AxiLimit(64, 1, 2, 3), AxiLimit(128, 4, 5, 6), AxiLimit(256), AxiLimit())
    run_image(
        Image((job(qconfig=1, regioncfg=0x1234, axi_limits=limits, timing=adapters),)), backend
    )
    request = backend.requests[0]
    assert (request.qconfig, request.regioncfg, request.macs) == (1, 0x1234, 128)
    assert request.axi_limits == tuple(limit.word for limit in limits)
    assert request.timing == tuple(adapter.words for adapter in adapters)


def test_more_than_four_events_take_several_passes_on_the_same_input() -> None:
    backend = AddOne(NpuOutcome(cycles=1 << 40, counters={n: n * 1000 for n in range(1024)}))
    events = (35, 130, 135, 386, 391, 48, 64, 80, 17)
    ran = run_image(Image((job(events=events),)), backend)
    answer = ran.answers.job(0)
    assert answer.counters() == {event: (event * 1000,) for event in events}
    assert answer.cycles() == (1 << 40,) * 3
    assert [arena for _, arena in backend.found] == [bytes(range(16))] * 3


def test_repetitions_give_a_sample_each() -> None:
    answer = run_image(Image((job(repetitions=3, events=(35,)),))).answers.job(0)
    assert answer.counters() == {35: (5, 5, 5)}


def test_the_arena_is_cleared_only_if_asked() -> None:
    dirty = (Input(16, b"\xee" * 16),)
    for clear, expected in ((False, b"\xee" * 16), (True, bytes(16))):
        plain = job(outputs=(Output(16, 16),), clear_arena=clear)
        ran = run_image(Image((job(inputs=dirty), plain)))
        assert ran.answers.job(1).outputs[0].data == expected


def test_the_flash_image_is_copied_where_asked() -> None:
    backend = AddOne()
    run_image(Image((job(flash_address=ISRAM + 0x1000),)), backend)
    assert backend.requests[0].bases[0] & ~0x1000_0000 == ISRAM + 0x1000
    assert backend.found[0][0] == bytes(range(100, 116))


def test_long_outputs_and_outputs_by_crc() -> None:
    data = bytes(i * 7 % 256 for i in range(1001))
    outputs = (Output(16, 1001), Output(16, 1001, OutputMode.CRC32), Output(0, 0), Output(17, 1))
    ran = run_image(Image((job(arena_bytes=4096, inputs=(Input(16, data),), outputs=outputs),)))
    whole, digest, empty, odd = ran.answers.job(0).outputs
    assert whole.data == data
    assert (digest.data, digest.crc32, digest.size) == (None, zlib.crc32(data), 1001)
    assert empty.data == b""
    assert odd.data == data[1:2]


def test_jobs_are_answered_one_by_one_and_one_failure_stops_no_other() -> None:
    ran = run_image(Image((job(), job(name="other", macs=64), job(name="last"))))
    assert ran.answers.complete
    assert ran.answers.job(2).name == "last"
    with pytest.raises(AnswerError, match=r"the NPU has 128 MACs/cc, .* compiled for 64"):
        ran.answers.job(1)
    assert ran.answers.end is not None
    assert (ran.answers.end.jobs, ran.answers.end.failed) == (3, 1)


def test_passes_that_disagree_are_said_to() -> None:
    class Drifting(AddOne):
        def run(self, request: object) -> NpuOutcome:
            super().run(request)  # type: ignore[arg-type]
            return NpuOutcome(cycles=len(self.requests))

    ran = run_image(Image((job(repetitions=2),)), Drifting())
    with pytest.raises(AnswerError, match=r"passes disagree: cycles \(1, 2\)"):
        ran.answers.job(0)


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (
            NpuOutcome(faults=NpuFault.COMMAND_PARSE, read_bytes=12),
            "byte 12 .* command parse error",
        ),
        (
            NpuOutcome(faults=NpuFault.BUS_ABORT, fault_port=1, fault_channel=Channel.WEIGHTS),
            "bus abort.*port 1, channel weight read",
        ),
        (NpuOutcome(faults=NpuFault.WEIGHT_DECODER | NpuFault.ECC), "weight decoder.*ECC"),
    ],
)
def test_a_fault_of_the_npu_is_decoded(outcome: NpuOutcome, says: str) -> None:
    ran = run_image(Image((job(), job())), AddOne(outcome))
    with pytest.raises(AnswerError, match=says):
        ran.answers.job(0)
    assert ran.answers.complete


def test_a_counter_that_overflows_is_refused() -> None:
    backend = AddOne(NpuOutcome(cycles=1, counters={35: 1 << 32}))
    with pytest.raises(AnswerError, match="overflowed"):
        run_image(Image((job(events=(35,)),)), backend).answers.job(0)


def test_an_npu_that_never_finishes_is_given_up() -> None:
    ran = run_image(Image((job(watchdog_megacycles=50),)), settings=Settings(npu_hangs=True))
    with pytest.raises(AnswerError, match="within 50 million processor cycles"):
        ran.answers.job(0)
    assert ran.answers.complete
    assert 50_000_000 <= ran.machine.cycles < 60_000_000


def test_no_npu() -> None:
    ran = run_image(Image((job(),)), settings=Settings(macs=0))
    assert only_error(ran.answers).code == "no_npu"
    assert ran.answers.end is not None


def test_another_timing_adapter() -> None:
    timed = job(timing=(TimingAdapter(maxr=1), None))
    ran = run_image(Image((timed, job())), settings=Settings(adapter_version=0x1118))
    with pytest.raises(AnswerError, match=r"version 0x1118, not 0x1117"):
        ran.answers.job(0)
    # Nobody asked for one here.
    assert ran.answers.job(1).ok


def test_memory_of_the_other_world_is_taken_over() -> None:
    ran = run_image(Image((job(),)), settings=Settings(isram_non_secure=True))
    assert ran.answers.job(0).outputs[0].data == bytes(range(1, 17))


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (b"", "no_job"),
        (b"EUJ1", "bad_format"),
        (struct.pack("<4sII", b"EUJ1", 2, 0), "bad_format"),
        (struct.pack("<4sII", b"EUJ1", 1, 0xFFFF_FFFC), "bad_length"),
        (struct.pack("<4sII", b"EUJ1", 1, 63), "bad_length"),
    ],
)
def test_what_is_no_image_is_refused(image: bytes, code: str) -> None:
    ran = run_firmware(image, AddOne())
    assert only_error(ran.answers).code == code
    assert ran.answers.complete


def test_a_damaged_image_is_refused_with_both_crcs() -> None:
    image = build_image(Image((job(),)))
    damaged = bytearray(image)
    damaged[400] ^= 1
    error = only_error(run_firmware(bytes(damaged), AddOne()).answers)
    assert error.code == "bad_crc"
    assert error.expected == zlib.crc32(image[:-4])
    assert error.found == zlib.crc32(damaged[:-4])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_changed_bit_and_no_cut_of_an_image_is_run(data: st.DataObject) -> None:
    image = build_image(Image((job(events=(35, 130)),)))
    at = data.draw(st.integers(0, len(image) - 1))
    flipped = bytearray(image)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    # What is cut off reads as zeros; where it held nothing else the image is whole.
    cut = image[:at]
    for damaged in (bytes(flipped), cut) if any(image[at:]) else (bytes(flipped),):
        backend = AddOne()
        error = only_error(run_firmware(damaged, backend).answers)
        assert error.code in ("no_job", "bad_format", "bad_length", "bad_crc")
        assert not backend.requests


@pytest.mark.parametrize("word", range(2, 16))
def test_no_header_makes_the_firmware_reach_beyond_the_image(word: int) -> None:
    image = build_image(Image((job(),)))
    for value in (0, 3, 0x7FFF_FFFC, 0xFFFF_FFFF):
        ran = run_firmware(with_words(image, {4 * word: value}), AddOne())
        assert ran.answers.end is not None
        assert all(error.code != "processor_fault" for error in ran.answers.errors)


@pytest.mark.parametrize("word", range(64))
def test_no_record_makes_the_firmware_reach_beyond_the_image(word: int) -> None:
    image = build_image(Image((job(events=(35,)),)))
    # The watchdog and the repetitions may take any time; they are no addresses.
    values = (0, 3, 0x7FFF_FFF0) if word in (11, 12) else (3, 0x7FFF_FFF0, 0xFFFF_FFFF)
    for value in values if word != 11 else (0,):
        ran = run_firmware(with_words(image, {HEADER_BYTES + 4 * word: value}), AddOne())
        assert ran.answers.end is not None
        assert all(error.code != "processor_fault" for error in ran.answers.errors)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"commands_bytes": 3}, "commands"),
        ({"arena_address": 0x2000_0000}, "arena"),
        ({"arena_address": 0x6000_0000}, "arena"),
        ({"arena_bytes": 8}, "inputs"),
        ({"repetitions": 0}, "limits"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, int], field: str) -> None:
    words = {HEADER_BYTES + 4 * FIELDS[name]: value for name, value in changes.items()}
    if field == "inputs":
        # The region would be outside as well; it is not what this is about.
        words[HEADER_BYTES + 4 * 20] = 0xFFFF_FFFF
    image = with_words(build_image(Image((job(),))), words)
    error = only_error(run_firmware(image, AddOne()).answers)
    assert (error.code, error.field, error.job) == ("bad_job", field, 0)
    assert f"field '{field}' of job 0" in error.sentence


def test_whatever_python_accepts_the_firmware_accepts() -> None:
    largest = job(
        name="x" * 120,
        events=tuple(range(256)),
        inputs=(Input(0, bytes(16)),) * 256,
        outputs=(Output(0, 1, OutputMode.CRC32),) * 256,
        regions=(RegionBase(Space.FLASH, 16), *[RegionBase(Space.ARENA, 16 * i) for i in range(7)]),
        commands=bytes(4),
        flash=bytes(33),
        arena_address=0xC000_0000,
        arena_bytes=64 << 10,
    )
    small = job(name="", flash=b"", events=(), inputs=(), outputs=(), arena_bytes=32)
    ran = run_image(Image((largest, small)))
    assert isinstance(largest, DeviceJob)
    assert ran.answers.complete, ran.answers
    assert len(ran.answers.job(0).passes) == 64
    assert ran.answers.job(1).outputs == ()
