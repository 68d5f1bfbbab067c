"""The job image: jobs as bytes, and back. The firmware's `job_format.h` is the other half.

Little-endian 32-bit words: a header of 16, a record of 64 for each job, and the contents they
point to, each at a multiple of 64 bytes and stored once however many jobs share it. The last word
is the CRC-32 of everything before it.
"""

from __future__ import annotations

import struct
import zlib

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
from targets.jobs.memory import JOB_ADDRESS, JOB_BYTES_MAX, overlap

__all__ = ["FORMAT_VERSION", "MAGIC", "build_image", "parse_image"]

MAGIC = 0x314A_5545  # "EUJ1"
FORMAT_VERSION = 1

_HEADER = struct.Struct("<7I36x")
_JOB = struct.Struct("<15I4I8I2I6II10I10I32x")
_PORTS = 2
_TIMING_WORDS = 10
_ALIGNMENT = 64
_SEMIHOSTING = 1
_CLEAR_ARENA = 1
_UNUSED = 0xFFFF_FFFF
_CURE = "the image was not written by this version of the bench, or was damaged on its way"


def build_image(image: Image) -> bytes:
    """The bytes of `image`. Raises `JobError` for what the firmware would refuse."""
    if not image.jobs:
        raise JobError("an image without jobs", cure="give it at least one")
    if image.uart_divider is not None and not 0 < image.uart_divider <= 0xFFFFF:
        raise JobError(f"uart_divider {image.uart_divider} does not fit the UART's 20 bits")
    for job in image.jobs:
        job.check()
    contents = _Contents(_HEADER.size + _JOB.size * len(image.jobs))
    records = b"".join(_record(job, contents) for job in image.jobs)
    body = contents.join()
    total = _HEADER.size + len(records) + len(body) + 4
    if total > JOB_BYTES_MAX:
        raise JobError(
            f"an image of {total} bytes; {JOB_BYTES_MAX} fit", cure="put fewer jobs into one image"
        )
    for job in image.jobs:
        _require_apart(job, total)
    flags = _SEMIHOSTING if image.semihosting_exit else 0
    divider = image.uart_divider or 0
    header = _HEADER.pack(
        MAGIC, FORMAT_VERSION, total, flags, divider, len(image.jobs), _HEADER.size
    )
    whole = header + records + body
    return whole + struct.pack("<I", zlib.crc32(whole))


class _Contents:
    """Collects what the records point to, each different content once."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._pieces: list[bytes] = []
        self._size = 0
        self._offsets: dict[bytes, int] = {}

    def add(self, data: bytes) -> int:
        """The offset of `data` in the image."""
        if not data:
            return 0
        if data not in self._offsets:
            at = self._start + self._size
            padding = -at % _ALIGNMENT
            self._pieces.append(bytes(padding) + data)
            self._offsets[data] = at + padding
            self._size += padding + len(data)
        return self._offsets[data]

    def join(self) -> bytes:
        """All of it, padded to whole words."""
        return b"".join(self._pieces) + bytes(-self._size % 4)


def _record(job: DeviceJob, contents: _Contents) -> bytes:
    flash_offset = contents.add(job.flash)
    flash_address = JOB_ADDRESS + flash_offset if job.flash_address is None else job.flash_address
    bases = {Space.FLASH: flash_address, Space.ARENA: job.arena_address}
    inputs = b"".join(
        struct.pack("<3I", item.arena_offset, contents.add(item.data), len(item.data))
        for item in job.inputs
    )
    outputs = b"".join(
        struct.pack("<3I", item.arena_offset, item.size, item.mode) for item in job.outputs
    )
    name = job.name.encode("ascii")
    none = (0,) * _TIMING_WORDS
    timing = [none if adapter is None else adapter.words for adapter in job.timing]
    return _JOB.pack(
        contents.add(name),
        len(name),
        job.macs,
        contents.add(job.commands),
        len(job.commands),
        flash_offset,
        len(job.flash),
        job.flash_address or 0,
        job.arena_address,
        job.arena_bytes,
        _CLEAR_ARENA if job.clear_arena else 0,
        job.repetitions,
        job.watchdog_megacycles,
        job.qconfig,
        job.regioncfg,
        *(limit.word for limit in job.axi_limits),
        *(_UNUSED if base is None else bases[base.space] + base.offset for base in job.regions),
        job.cycle_start_event,
        job.cycle_stop_event,
        contents.add(struct.pack(f"<{len(job.events)}I", *job.events)),
        len(job.events),
        contents.add(inputs),
        len(job.inputs),
        contents.add(outputs),
        len(job.outputs),
        sum(1 << port for port, adapter in enumerate(job.timing) if adapter is not None),
        *(word for words in timing for word in words),
    )


def _require_apart(job: DeviceJob, image_bytes: int) -> None:
    places = [("arena", job.arena_address, job.arena_bytes)]
    if job.flash_address is not None:
        places.append(("flash", job.flash_address, len(job.flash)))
    for what, address, size in places:
        if overlap(JOB_ADDRESS, image_bytes, address, size):
            raise JobError(
                f"job {job.name!r}: its {what} at {address:#x} lies over the job image "
                f"({image_bytes} bytes at {JOB_ADDRESS:#x})",
                cure="place it in another memory or higher",
            )


def parse_image(data: bytes) -> Image:
    """The image that `build_image` wrote as `data`. Raises `JobError` when it is none."""
    if len(data) < _HEADER.size + 4:
        raise JobError(f"{len(data)} bytes are no job image", cure=_CURE)
    magic, version, total, flags, divider, count, jobs_at = _HEADER.unpack_from(data)
    if magic != MAGIC or version != FORMAT_VERSION:
        raise JobError(f"no job image: magic {magic:#010x}, version {version}", cure=_CURE)
    if total != len(data):
        raise JobError(f"a job image of {len(data)} bytes says it has {total}", cure=_CURE)
    stated, found = struct.unpack_from("<I", data, total - 4)[0], zlib.crc32(data[:-4])
    if stated != found:
        raise JobError(f"the image states CRC-32 {stated:08X}, it has {found:08X}", cure=_CURE)
    if jobs_at != _HEADER.size or not 0 < count <= (total - jobs_at) // _JOB.size:
        raise JobError(f"{count} jobs at {jobs_at} do not fit {total} bytes", cure=_CURE)
    if flags & ~_SEMIHOSTING:
        raise JobError(f"unknown flags {flags:#x}", cure=_CURE)
    jobs = tuple(_parse_job(data, jobs_at + i * _JOB.size) for i in range(count))
    for job in jobs:
        job.check()
        _require_apart(job, total)
    return Image(jobs, semihosting_exit=bool(flags), uart_divider=divider or None)


def _parse_job(data: bytes, at: int) -> DeviceJob:
    words = _JOB.unpack_from(data, at)
    flash_offset, flash_bytes, flash_copy, arena_address, arena_bytes = words[5:10]
    flash_address = flash_copy or JOB_ADDRESS + flash_offset
    events_at, event_count, inputs_at, input_count, outputs_at, output_count = words[29:35]
    timing = [words[36 + _TIMING_WORDS * i :][:_TIMING_WORDS] for i in range(_PORTS)]
    adapters = [
        TimingAdapter(*timing[port]) if words[35] >> port & 1 else None for port in range(_PORTS)
    ]

    def region(base: int) -> RegionBase | None:
        if base == _UNUSED:
            return None
        if arena_address <= base < arena_address + arena_bytes:
            return RegionBase(Space.ARENA, base - arena_address)
        return RegionBase(Space.FLASH, base - flash_address)

    def table(offset: int, rows: int) -> list[tuple[int, int, int]]:
        return list(struct.iter_unpack("<3I", _cut(data, offset, rows * 12)))

    return DeviceJob(
        name=_cut(data, words[0], words[1]).decode("ascii", "replace"),
        macs=words[2],
        commands=_cut(data, words[3], words[4]),
        flash=_cut(data, flash_offset, flash_bytes),
        arena_address=arena_address,
        arena_bytes=arena_bytes,
        regions=tuple(region(base) for base in words[19:27]),
        inputs=tuple(
            Input(to, _cut(data, start, size)) for to, start, size in table(inputs_at, input_count)
        ),
        outputs=tuple(
            Output(start, size, _mode(mode))
            for start, size, mode in table(outputs_at, output_count)
        ),
        events=struct.unpack(f"<{event_count}I", _cut(data, events_at, 4 * event_count)),
        flash_address=flash_copy or None,
        clear_arena=bool(words[10] & _CLEAR_ARENA),
        repetitions=words[11],
        watchdog_megacycles=words[12],
        qconfig=words[13],
        regioncfg=words[14],
        axi_limits=tuple(AxiLimit.from_word(word) for word in words[15:19]),
        timing=(adapters[0], adapters[1]),
        cycle_start_event=words[27],
        cycle_stop_event=words[28],
    )


def _mode(value: int) -> OutputMode:
    if value not in OutputMode.__members__.values():
        raise JobError(f"unknown output mode {value}", cure=_CURE)
    return OutputMode(value)


def _cut(data: bytes, offset: int, size: int) -> bytes:
    if offset + size > len(data) - 4:
        raise JobError(f"{size} bytes at {offset} of an image of {len(data)}", cure=_CURE)
    return data[offset : offset + size]
