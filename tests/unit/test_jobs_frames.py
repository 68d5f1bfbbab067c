"""Frames survive any cutting of the stream and any text between; no damage goes unnoticed."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.jobs.answers import Answers, Collector
from targets.jobs.errors import AnswerError
from targets.jobs.frames import (
    LINE_MAX,
    Damaged,
    Event,
    Frame,
    FrameParser,
    Lost,
    Restarted,
    Text,
)
from tests.support.jobs.frame_lines import frame_line

TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="{}"))
PAYLOADS = st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=20), max_size=4)
#: Lines a simulator or a terminal may add; whatever they are, they are no frames.
GARBAGE = st.binary(max_size=60)


def answer() -> bytes:
    """A whole, small answer as the firmware sends it."""
    output = bytes(range(16))
    frames: list[dict[str, object]] = [
        {"kind": "hello", "firmware": "1.0.0", "format": 1, "secure": True, "cpuid": 1},
        {"kind": "npu", "id": 1, "config": 6151, "macs": 128},
        {"kind": "job", "job": 0, "name": "first", "macs": 128},
        _pass(0, 0, [[35, 10], [130, 20], [135, 30], [386, 40]]),
        _pass(0, 1, [[48, 50]]),
        {"kind": "data", "job": 0, "output": 0, "at": 0, "base64": "AAECAwQFBgcICQoLDA0ODw=="},
        {
            "kind": "output",
            "job": 0,
            "output": 0,
            "bytes": 16,
            "sent": 16,
            "crc32": zlib.crc32(output),
        },
        {"kind": "result", "job": 0, "ok": True, "stable": True},
        {"kind": "job", "job": 1, "name": "second", "macs": 64},
        {"kind": "error", "job": 1, "code": "macs_mismatch", "npu_macs": 128, "job_macs": 64},
        {"kind": "result", "job": 1, "ok": False, "stable": False},
        {"kind": "end", "jobs": 2, "failed": 1, "frames": 12},
    ]
    return b"".join(frame_line(i, "text", frame) for i, frame in enumerate(frames))


def _pass(job: int, number: int, events: list[list[int]]) -> dict[str, object]:
    return {
        **{"kind": "pass", "job": job, "repetition": 0, "pass": number, "status": 34},
        **{"cycles": 1000, "overflow": 0, "outputs_crc32": 7, "events": events},
    }


def parse(*pieces: bytes) -> list[Event]:
    parser = FrameParser()
    return [e for piece in pieces for e in parser.feed(piece)] + parser.finish()


def collect(data: bytes) -> Answers:
    collector = Collector()
    collector.add(parse(data))
    return collector.finish()


@given(st.lists(st.tuples(TEXTS, PAYLOADS), max_size=6), st.data())
def test_any_cutting_and_any_text_between(
    contents: list[tuple[str, dict[str, object]]], data: st.DataObject
) -> None:
    contents = [
        (text, payload) for text, payload in contents if "BENCH1 " not in f"{text}{payload}"
    ]
    stream = b""
    for number, (text, payload) in enumerate(contents):
        stream += data.draw(GARBAGE).replace(b"BENCH1", b"") + b"\n"
        stream += frame_line(number, text, payload)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    events = [event for event in parse(*pieces) if not isinstance(event, Text)]
    assert events == [Frame(i, text, payload) for i, (text, payload) in enumerate(contents)]


def test_every_lost_and_every_flipped_byte_is_noticed() -> None:
    whole = answer()
    sound = collect(whole)
    assert sound.complete
    assert len(sound.jobs) == 2
    for at in range(len(whole)):
        lost = whole[:at] + whole[at + 1 :]
        flipped = whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :]
        for damaged in (lost, flipped):
            found = collect(damaged)
            if found.complete:
                # Only a line's end may be damaged without harm: then nothing else differs.
                assert whole[at : at + 1] in b"\r\n"
                assert found == sound
            for index, one in found.jobs.items():
                assert one == sound.jobs[index]


def test_every_cut_is_noticed() -> None:
    whole = answer()
    for at in range(len(whole) - 2):
        found = collect(whole[:at])
        assert not found.complete
        assert any("cut off" in problem for problem in found.problems)


def test_a_lost_frame_is_named() -> None:
    frames = answer().splitlines(keepends=True)
    events = parse(*frames[:3], *frames[5:])
    assert Lost(3, 2) in events
    found = collect(b"".join(frames[:3] + frames[5:]))
    with pytest.raises(AnswerError, match=r"no answer for job 0.*2 frame\(s\) from number 3"):
        found.job(0)
    with pytest.raises(AnswerError, match="128 MACs/cc, the model was compiled for 64"):
        found.job(1)


def test_a_repeated_frame_and_a_reset_are_named() -> None:
    frames = answer().splitlines(keepends=True)
    (repeated,) = [e for e in parse(*frames[:3], frames[1]) if isinstance(e, Damaged)]
    assert "frame 1 again" in repeated.reason
    assert Restarted() in parse(*frames[:3], *frames[:2])


def test_memory_stays_bounded() -> None:
    parser = FrameParser()
    flood = b"x" * 10_000
    for _ in range(500):
        assert len(parser.feed(flood)) <= 4
        assert len(parser._pending) <= LINE_MAX
    assert parser.feed(b"\n" + frame_line(0, "found", {}))[-1] == Frame(0, "found", {})


def test_a_frame_right_behind_endless_text_is_found() -> None:
    for filler in range(LINE_MAX - 20, LINE_MAX + 20):
        events = parse(b"x" * filler + frame_line(0, "found", {}))
        assert Frame(0, "found", {}) in events


@settings(max_examples=50)
@given(st.binary(max_size=2000))
def test_garbage_is_never_a_frame(garbage: bytes) -> None:
    assert not any(isinstance(event, Frame) for event in parse(garbage, b"\n"))


def test_outputs_beyond_the_limit_are_not_kept() -> None:
    collector = Collector(data_limit=15)
    collector.add(parse(answer()))
    assert 0 not in collector.finish().jobs


def test_the_counters_of_all_passes_come_together() -> None:
    job = collect(answer()).job(0)
    assert job.counters() == {35: (10,), 130: (20,), 135: (30,), 386: (40,), 48: (50,)}
    assert job.outputs[0].data == bytes(range(16))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"overflow": 1}, "overflowed"),
        ({"kind": "nonsense"}, "unknown content"),
        ({"extra": 1}, "unknown content"),
    ],
)
def test_a_pass_that_cannot_be_used(change: dict[str, object], says: str) -> None:
    lines = answer().splitlines(keepends=True)
    lines[4] = frame_line(4, "text", {**_pass(0, 1, []), **change})
    with pytest.raises(AnswerError, match=says):
        collect(b"".join(lines)).job(0)


def test_passes_that_disagree_are_refused() -> None:
    lines = answer().splitlines(keepends=True)
    lines[7] = frame_line(7, "done", {"kind": "result", "job": 0, "ok": True, "stable": False})
    with pytest.raises(AnswerError, match="passes disagree"):
        collect(b"".join(lines)).job(0)
