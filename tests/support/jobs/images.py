"""Reads a job image as the firmware does: by `job_format.h`, whose names these are."""

from __future__ import annotations

import struct
import zlib
from ctypes import LittleEndianStructure, c_uint32, sizeof

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
from targets.jobs.memory import JOB_ADDRESS

__all__ = ["read_image"]

REGION_UNUSED = 0xFFFF_FFFF


class _Header(LittleEndianStructure):
    _fields_ = [
        *((name, c_uint32) for name in ("magic", "format", "total_bytes", "flags")),
        *((name, c_uint32) for name in ("uart_divider", "job_count", "jobs_offset")),
        ("reserved", c_uint32 * 9),
    ]


class _Job(LittleEndianStructure):
    _fields_ = [
        *((name, c_uint32) for name in ("name_offset", "name_bytes", "macs")),
        *((name, c_uint32) for name in ("commands_offset", "commands_bytes")),
        *((name, c_uint32) for name in ("flash_offset", "flash_bytes", "flash_address")),
        *((name, c_uint32) for name in ("arena_address", "arena_bytes", "flags")),
        *((name, c_uint32) for name in ("repetitions", "watchdog_megacycles")),
        *((name, c_uint32) for name in ("qconfig", "regioncfg")),
        ("axi_limit", c_uint32 * 4),
        ("region_base", c_uint32 * 8),
        *((name, c_uint32) for name in ("cycle_start_event", "cycle_stop_event")),
        *((name, c_uint32) for name in ("events_offset", "events_count")),
        *((name, c_uint32) for name in ("inputs_offset", "inputs_count")),
        *((name, c_uint32) for name in ("outputs_offset", "outputs_count")),
        ("timing_ports", c_uint32),
        ("timing", c_uint32 * 10 * 2),
        ("reserved", c_uint32 * 8),
    ]


def read_image(data: bytes) -> Image:
    """The image that was written as `data`; an `AssertionError` where it is none."""
    header = _Header.from_buffer_copy(data)
    assert struct.pack("<I", header.magic) == b"EUJ1"
    assert header.format == 1
    assert header.total_bytes == len(data)
    assert struct.unpack("<I", data[-4:]) == (zlib.crc32(data[:-4]),)
    jobs = [
        _Job.from_buffer_copy(data, header.jobs_offset + i * sizeof(_Job))
        for i in range(header.job_count)
    ]
    return Image(
        tuple(_job(data, job) for job in jobs),
        semihosting_exit=bool(header.flags),
        uart_divider=header.uart_divider or None,
    )


def _job(data: bytes, job: _Job) -> DeviceJob:
    def piece(offset: int, size: int) -> bytes:
        assert offset + size <= len(data) - 4
        return data[offset : offset + size]

    def table(offset: int, rows: int) -> list[tuple[int, int, int]]:
        return list(struct.iter_unpack("<3I", piece(offset, 12 * rows)))

    adapters = [
        TimingAdapter(*registers) if job.timing_ports >> port & 1 else None
        for port, registers in enumerate(job.timing)
    ]
    return DeviceJob(
        name=piece(job.name_offset, job.name_bytes).decode(),
        macs=job.macs,
        commands=piece(job.commands_offset, job.commands_bytes),
        flash=piece(job.flash_offset, job.flash_bytes),
        arena_address=job.arena_address,
        arena_bytes=job.arena_bytes,
        regions=tuple(_region(job, base) for base in job.region_base),
        inputs=tuple(
            Input(to, piece(start, size))
            for to, start, size in table(job.inputs_offset, job.inputs_count)
        ),
        outputs=tuple(
            Output(start, size, OutputMode(mode))
            for start, size, mode in table(job.outputs_offset, job.outputs_count)
        ),
        events=struct.unpack(
            f"<{job.events_count}I", piece(job.events_offset, 4 * job.events_count)
        ),
        flash_address=job.flash_address or None,
        clear_arena=bool(job.flags),
        repetitions=job.repetitions,
        watchdog_megacycles=job.watchdog_megacycles,
        qconfig=job.qconfig,
        regioncfg=job.regioncfg,
        axi_limits=tuple(_limit(word) for word in job.axi_limit),
        timing=(adapters[0], adapters[1]),
        cycle_start_event=job.cycle_start_event,
        cycle_stop_event=job.cycle_stop_event,
    )


def _region(job: _Job, base: int) -> RegionBase | None:
    if base == REGION_UNUSED:
        return None
    if job.arena_address <= base < job.arena_address + job.arena_bytes:
        return RegionBase(Space.ARENA, base - job.arena_address)
    return RegionBase(Space.FLASH, base - (job.flash_address or JOB_ADDRESS + job.flash_offset))


def _limit(word: int) -> AxiLimit:
    """AXI_LIMITn: max_beats 1:0, memtype 7:4, reads - 1 in 23:16, writes - 1 in 31:24."""
    assert not word & 0xFF0C
    bursts = {0: 64, 1: 128, 2: 256}
    return AxiLimit(
        bursts[word & 3],  # type: ignore[arg-type]
        word >> 4 & 15,
        (word >> 16 & 255) + 1,
        (word >> 24) + 1,
    )
