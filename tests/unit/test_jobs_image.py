"""The job image: what is built can be read by its format, and what cannot run is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.errors import TargetError
from targets.ethos_u55.pmu_events import EVENT_NUMBERS, event_name, event_number
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
from targets.jobs.errors import JobError
from targets.jobs.image import build_image
from tests.support.jobs.images import read_image

WORD = st.integers(0, 0xFFFF_FFFF)
ARENA_BYTES = 4096


@st.composite
def jobs(draw: st.DrawFn) -> DeviceJob:
    flash = draw(st.binary(max_size=200).map(lambda b: b + bytes(-len(b) % 4)))
    bases = st.none() | st.builds(
        RegionBase,
        st.just(Space.ARENA),
        st.integers(0, ARENA_BYTES // 16 - 1).map(lambda n: 16 * n),
    )
    if flash:
        last = (len(flash) - 1) // 16
        bases |= st.builds(
            RegionBase, st.just(Space.FLASH), st.integers(0, last).map(lambda n: 16 * n)
        )
    inputs = st.builds(Input, st.integers(0, ARENA_BYTES - 64), st.binary(max_size=64))
    outputs = st.builds(
        Output, st.integers(0, ARENA_BYTES - 64), st.integers(0, 64), st.sampled_from(OutputMode)
    )
    adapter = st.none() | st.builds(TimingAdapter, *[WORD] * 10)
    limit = st.builds(
        AxiLimit,
        st.sampled_from((64, 128, 256)),
        st.integers(0, 15),
        st.integers(1, 256),
        st.integers(1, 256),
    )
    return DeviceJob(
        name=draw(st.from_regex(r"\A[a-zA-Z0-9_.-]{0,40}\Z")),
        macs=draw(st.sampled_from((32, 64, 128, 256))),
        commands=draw(st.binary(min_size=1, max_size=40)) * 4,
        flash=flash,
        arena_address=draw(st.sampled_from((0x0100_0000, 0x2100_0000, 0x8000_0000))),
        arena_bytes=ARENA_BYTES,
        regions=tuple(draw(st.lists(bases, min_size=8, max_size=8))),
        inputs=tuple(draw(st.lists(inputs, max_size=4))),
        outputs=tuple(draw(st.lists(outputs, max_size=4))),
        events=tuple(draw(st.lists(st.integers(0, 1023), max_size=9))),
        flash_address=draw(st.sampled_from((None, 0xA000_0000))),
        clear_arena=draw(st.booleans()),
        repetitions=draw(st.integers(1, 0xFFFF_FFFF)),
        watchdog_megacycles=draw(st.integers(1, 0xFFFF_FFFF)),
        qconfig=draw(st.integers(0, 3)),
        regioncfg=draw(st.integers(0, 0xFFFF)),
        axi_limits=tuple(draw(st.lists(limit, min_size=4, max_size=4))),
        timing=(draw(adapter), draw(adapter)),
        cycle_start_event=draw(st.integers(0, 1023)),
        cycle_stop_event=draw(st.integers(0, 1023)),
    )


IMAGES = st.builds(
    Image,
    st.lists(jobs(), min_size=1, max_size=3).map(tuple),
    st.booleans(),
    st.none() | st.integers(1, 0xFFFFF),
)


def job(**changes: object) -> DeviceJob:
    base = DeviceJob(
        name="job",
        macs=128,
        commands=bytes(16),
        flash=bytes(64),
        arena_address=0x2100_0000,
        arena_bytes=1024,
        regions=(RegionBase(Space.FLASH), RegionBase(Space.ARENA), *[None] * 6),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


@settings(deadline=None)
@given(IMAGES)
def test_what_is_built_is_read_back(image: Image) -> None:
    assert read_image(build_image(image)) == image


def test_what_jobs_share_is_stored_once() -> None:
    shared = job(flash=bytes(range(256)) * 400)
    one = len(build_image(Image((shared,))))
    ten = len(build_image(Image((shared,) * 10)))
    assert ten - one == 9 * 256


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": 'a"b'}, "name"),
        ({"macs": 100}, "macs"),
        ({"commands": b""}, "commands"),
        ({"commands": bytes(3)}, "commands"),
        ({"arena_address": 0x2000_0000}, "arena"),
        ({"arena_bytes": 3 << 20}, "arena"),
        ({"arena_address": 0x2100_0008}, "arena"),
        ({"flash_address": 0x2100_0200}, "flash"),
        ({"flash_address": 0x2000_0000}, "flash"),
        ({"regions": (None,) * 7}, "regions"),
        ({"regions": (RegionBase(Space.ARENA, 1024), *[None] * 7)}, "region 0"),
        ({"regions": (RegionBase(Space.FLASH, 8), *[None] * 7)}, "region 0"),
        ({"inputs": (Input(1000, bytes(25)),)}, "input 0"),
        ({"outputs": (Output(-1, 2),)}, "output 0"),
        ({"events": (1024,)}, "event 1024"),
        ({"events": (0,) * 257}, "257 events"),
        ({"repetitions": 0}, "repetitions"),
        ({"watchdog_megacycles": 0}, "watchdog"),
        ({"regioncfg": 1 << 16}, "regioncfg"),
        ({"axi_limits": (AxiLimit(burst_bytes=32),) * 4}, "burst_bytes=32"),  # type: ignore[arg-type]
        ({"timing": (TimingAdapter(maxr=-1), None)}, "maxr=-1"),
        ({"arena_address": 0x6000_0000}, "overlaps the job image"),
    ],
)
def test_what_cannot_run_is_refused_by_name(changes: dict[str, object], says: str) -> None:
    with pytest.raises(JobError, match=says) as caught:
        build_image(Image((job(**changes),)))
    assert "job" in str(caught.value)


def test_an_image_needs_a_job() -> None:
    with pytest.raises(JobError, match="without jobs"):
        build_image(Image(()))


def test_events_have_arms_names_and_numbers() -> None:
    assert event_number("AXI1_RD_DATA_BEAT_RECEIVED") == 386
    assert event_number("NPU_ACTIVE") == 35
    assert all(event_name(number) == name for name, number in EVENT_NUMBERS.items())
    with pytest.raises(TargetError, match="not a PMU event"):
        event_number("NPU_BUSY")
