"""The virtual Corstone-300 with the real firmware, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from targets.firmware import firmware_elf
from targets.jobs.answers import Answers, Collector
from targets.jobs.device_job import DeviceJob, Image, Input, Output, RegionBase, Space
from targets.jobs.frames import FrameParser
from targets.jobs.image import build_image
from targets.jobs.memory import JOB_LOAD_ADDRESS
from targets.virtual.backend import NpuBackend, NpuOutcome, NpuRequest

pytest.importorskip("unicorn", reason="the package unicorn is missing: firmware NOT run")

from targets.firmware.elf import read_elf
from targets.virtual.machine import Limits, Machine, Settings, Stop
from targets.virtual.semihosting import Semihosting

__all__ = ["AddOne", "Ran", "Settings", "job", "run_firmware", "run_image"]

ISRAM = 0x2100_0000


@dataclass
class AddOne:
    """Adds one to each of the arena's first 16 bytes, and notes what it was asked."""

    outcome: NpuOutcome = field(default_factory=lambda: NpuOutcome(cycles=5, counters={35: 5}))
    requests: list[NpuRequest] = field(default_factory=list)
    #: The flash and the arena as they were found, 16 bytes each.
    found: list[tuple[bytes, bytes]] = field(default_factory=list)

    def run(self, request: NpuRequest) -> NpuOutcome:
        self.requests.append(request)
        arena = request.memory.view(request.bases[1], 32)
        flash = request.memory.view(request.bases[0], 16)
        self.found.append((flash.tobytes(), arena[:16].tobytes()))
        arena[:16] += 1
        return self.outcome


@dataclass(frozen=True)
class Ran:
    """What a run of the firmware said and how it ended."""

    stop: Stop
    uart: bytes
    answers: Answers
    machine: Machine


def job(**changes: object) -> DeviceJob:
    """16 bytes in, 16 bytes out, for `AddOne`."""
    fields: dict[str, object] = {
        "name": "add-one",
        "macs": 128,
        "commands": bytes(range(16)),
        "flash": bytes(range(100, 132)),
        "arena_address": ISRAM,
        "arena_bytes": 1024,
        "regions": (RegionBase(Space.FLASH), RegionBase(Space.ARENA), *[None] * 6),
        "inputs": (Input(0, bytes(range(16))),),
        "outputs": (Output(0, 16),),
    }
    return DeviceJob(**{**fields, **changes})  # type: ignore[arg-type]


def run_firmware(
    image: bytes, backend: NpuBackend, settings: Settings | None = None, elf: Path | None = None
) -> Ran:
    """Boot the firmware (the shipped one, or `elf`) with `image` in memory; None = no image."""
    uart = bytearray()
    semihosting = Semihosting(uart.extend, Path("/nonexistent"))
    machine = Machine(settings or Settings(), backend, uart.append, semihosting)
    machine.load(JOB_LOAD_ADDRESS, image)
    machine.load_program(read_elf(elf.read_bytes() if elf else firmware_elf(), "firmware"))
    # Without a semihosting exit the firmware sleeps for good: simulated time then ends it.
    stop = machine.run(Limits(wall_seconds=20, simulated_seconds=1e6))
    parser, collector = FrameParser(), Collector()
    collector.add(parser.feed(bytes(uart)) + parser.finish())
    return Ran(stop, bytes(uart), collector.finish(), machine)


def run_image(image: Image, backend: AddOne | None = None, settings: Settings | None = None) -> Ran:
    """`run_firmware` with an image that is sound."""
    return run_firmware(build_image(image), backend or AddOne(), settings)
