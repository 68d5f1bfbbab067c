"""The job image: jobs as bytes. The firmware's `job_format.h` reads them.

It consists of little-endian 32-bit words: a header of 16 words, a record of 64 words for each job,
and the contents that they point to. Each content starts at a multiple of 64 bytes and is stored
once, however many jobs share it. The last word is the CRC-32 of everything before it.
"""

from __future__ import annotations

import struct
import zlib

from targets.jobs.device_job import DeviceJob, Image, Space
from targets.jobs.errors import JobError
from targets.jobs.memory import JOB_ADDRESS, JOB_BYTES_MAX, overlap

__all__ = ["FORMAT_VERSION", "MAGIC", "build_image"]

MAGIC = 0x314A_5545  # "EUJ1"
FORMAT_VERSION = 1

_HEADER = struct.Struct("<7I36x")
_JOB = struct.Struct("<15I4I8I2I6II10I10I32x")
_TIMING_WORDS = 10
_CONTENT_ALIGNMENT = 64
_SEMIHOSTING = 1
_CLEAR_ARENA = 1
_UNUSED = 0xFFFF_FFFF


def build_image(image: Image) -> bytes:
    """The bytes of `image`. Raises `JobError` for anything that the firmware would refuse."""
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
    """Collects what the records point to, and stores each content once."""

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
            padding = -at % _CONTENT_ALIGNMENT
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
                f"job {job.name!r}: its {what} at {address:#x} overlaps the job image "
                f"({image_bytes} bytes at {JOB_ADDRESS:#x})",
                cure="place it in another memory or higher",
            )
