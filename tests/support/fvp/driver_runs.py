"""Programs with the habits of Arm's driver (`driver_client/`), built and run on the machine."""

from __future__ import annotations

import shutil
import struct
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import PrerequisiteError
from targets.artefact import load_artefact
from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.ports import REGIONS
from targets.firmware import FIRMWARE_DIRECTORY
from targets.firmware.build import Compiler, build
from targets.firmware.elf import Program, read_elf
from targets.jobs.compiled import job_for
from targets.jobs.device_job import DeviceJob, Space
from targets.jobs.memory import SECURE_ALIAS
from tests.support.models.vela_files import run_vela, small_mlp

pytest.importorskip("unicorn", reason="the package unicorn is missing: the driver is NOT run")

from targets.virtual.machine import Limits, Machine, Settings, Stop
from targets.virtual.semihosting import Semihosting
from targets.virtual.simulator_backend import SimulatorBackend

__all__ = ["Request", "Scenario", "build_client", "run_client", "small_network"]

_CLIENT = Path(__file__).parent / "driver_client"
_REQUEST = 0x6000_0000
_REPORT = 0x6000_1000
_STREAM = 0x6010_0000
_FLASH = 0x6020_0000
_LIMITS = Limits(wall_seconds=20, simulated_seconds=1e6)


class Scenario(IntEnum):
    """The programs in `client.c`, in its order."""

    SEMAPHORE = 0
    NO_RACE = 1
    CRITICAL_SECTION = 2
    PENDING = 3
    EVENTS = 4
    FAULT = 5
    OVERFLOW = 6
    CYCLES = 7
    IDENTITY = 8


@dataclass(frozen=True)
class Request:
    """What a program is told: `struct request` of `driver.h`, without the places in memory."""

    commands: bytes
    flash: bytes
    #: The regions' addresses as the NPU sees them.
    bases: tuple[int, ...]
    arena: bytes
    qconfig: int
    regioncfg: int
    stream_bytes: int
    event: int = 0
    preset: int = 0
    cycle_config: int = 0
    systick_cycles: int = 0

    def words(self, scenario: Scenario) -> bytes:
        """The request as it lies in memory."""
        return struct.pack(
            f"<3I{REGIONS}I6I",
            *(scenario, _STREAM + SECURE_ALIAS, self.stream_bytes, *self.bases),
            *(self.qconfig, self.regioncfg, self.event, self.preset),
            *(self.cycle_config, self.systick_cycles),
        )


def build_client(directory: Path) -> Program:
    """The programs, built with what is installed; else a skip."""
    for name in ("link.ld", "corstone300.h"):
        shutil.copy(FIRMWARE_DIRECTORY / name, directory)
    for source in _CLIENT.iterdir():
        shutil.copy(source, directory)
    elf = directory / "client.elf"
    try:
        compiler = Compiler.GCC if shutil.which("arm-none-eabi-gcc") else Compiler.ZIG
        build(elf, compiler, directory)
    except PrerequisiteError as error:
        pytest.skip(f"{error}: the habits of Arm's driver are NOT tested")
    return read_elf(elf.read_bytes(), "client.elf")


def small_network(directory: Path) -> tuple[DeviceJob, Request]:
    """A network of two layers on random input, and the request that runs it."""
    artefact = load_artefact(run_vela(small_mlp(), directory))
    row = np.random.default_rng(3).integers(-128, 128, (1, 40)).astype(np.int8)
    mode = MemoryMode.SHARED_SRAM
    job = job_for(artefact, [row], name="driver", memory_mode=mode, events=[])
    start = {Space.FLASH: _FLASH, Space.ARENA: job.arena_address}
    arena = bytearray(job.arena_bytes)
    for item in job.inputs:
        arena[item.arena_offset : item.arena_offset + len(item.data)] = item.data
    request = Request(
        commands=job.commands,
        flash=job.flash,
        bases=tuple(
            0 if base is None else start[base.space] + base.offset + SECURE_ALIAS
            for base in job.regions
        ),
        arena=bytes(arena),
        qconfig=job.qconfig,
        regioncfg=job.regioncfg,
        stream_bytes=len(job.commands),
    )
    return job, request


def run_client(
    program: Program, scenario: Scenario, request: Request, job: DeviceJob
) -> tuple[Stop, list[int], Machine]:
    """Run one program. Returns how it ended, what it noted, and the machine."""
    machine = Machine(
        Settings(), SimulatorBackend(), lambda byte: None, Semihosting(lambda text: None, Path())
    )
    machine.load(_REQUEST, request.words(scenario))
    machine.load(_STREAM, request.commands)
    machine.load(_FLASH, request.flash)
    machine.load(job.arena_address, request.arena)
    machine.load_program(program)
    stop = machine.run(_LIMITS)
    (count,) = struct.unpack("<I", machine.memory.read(_REPORT, 4))
    return (
        stop,
        list(struct.unpack(f"<{count}I", machine.memory.read(_REPORT + 4, 4 * count))),
        machine,
    )
