"""Whether measurements on a board are possible now, and what is missing."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bench.core.errors import BenchError, PrerequisiteError
from bench.core.units import MIB
from targets.checkup import Finding, State, found, missing
from targets.jobs.device_job import DeviceJob, Image, RegionBase, Space
from targets.jobs.image import build_image
from targets.jobs.memory import NPU_MEMORIES
from targets.mps3.batching import Load, Unit
from targets.mps3.card import check_volume
from targets.mps3.console import Console
from targets.mps3.errors import BoardUnavailableError, CardError
from targets.mps3.images_txt import is_ours
from targets.mps3.lease import acquire, default_directory
from targets.mps3.log import BoardLog
from targets.mps3.ports import BoardPorts, Volume
from targets.mps3.quarantine import Quarantine
from targets.mps3.session import Session
from targets.mps3.visit import firmware_image, open_ports
from targets.settings import TargetSettings
from targets.settings.mps3 import Mps3Settings

__all__ = ["check_mps3"]

#: NPU_OP_STOP with all its bits: the shortest command stream there is.
_STOP = struct.pack("<I", 0xFFFF_0000)
#: The old and the new job image are on the card at the same time.
_IMAGES_ON_CARD = 2


def check_mps3(settings: TargetSettings, logs: Path, *, boot: bool) -> Iterator[Finding]:
    """See `Checkup`. With `boot`, the card is written and the board booted, to read its NPU.

    Each board of a pool is examined by itself. For labgrid's tags, these are all places with them.
    """
    yield _pyserial()
    yield _firmware()
    for name, mine in settings.mps3.members().items():
        if mine.labgrid_tags and settings.mps3.boards:
            continue
        yield from _named(name, _check_board(mine, logs / "mps3" / name, boot=boot))
    for board in settings.mps3.boards:
        if board.labgrid_tags:
            mine = settings.mps3.members()[board.names[0]]
            yield from _named(board.name, _check_places(mine, board.count, logs / "mps3", boot))


def _named(name: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    for finding in findings:
        yield replace(finding, what=f"{name}: {finding.what}") if name else finding


def _check_places(mine: Mps3Settings, count: int, logs: Path, boot: bool) -> Iterator[Finding]:
    try:
        # labgrid is an extra.
        from targets.mps3.labgrid.environment import places_of

        places = places_of(mine)
    except BenchError as error:
        yield missing("places", error)
        return
    names = ", ".join(places)
    if len(places) < count:
        yield Finding(
            "places",
            State.MISSING,
            f"{len(places)} of {count}: {names}",
            "lower count, or give more places the tags",
        )
    else:
        yield found("places", names)
    for place in places:
        alone = mine.model_copy(update={"labgrid_place": place, "labgrid_tags": {}})
        yield from _named(place, _check_board(alone, logs / place, boot=boot))


def _check_board(mine: Mps3Settings, logs: Path, *, boot: bool) -> Iterator[Finding]:
    # Somebody else's use of it is a finding, not a reason to wait.
    mine = mine.model_copy(update={"lease_wait_minutes": 0.0})
    with ExitStack() as stack:
        try:
            ports = open_ports(mine)
        except BenchError as error:
            yield missing("board", error)
            return
        stack.callback(ports.close)
        yield found("board", f"{ports.key}")
        directory = mine.state_directory or default_directory()
        log = BoardLog(logs)
        try:
            lease = acquire(directory, ports.key, purpose="bench doctor", wait=0, on_wait=log.step)
        except BoardUnavailableError as error:
            yield missing("lease", error)
            return
        stack.callback(lease.release)
        yield found("lease", f"free, kept in {directory}")
        yield _quarantine(Quarantine(directory, ports.key, mine.quarantine_hours))
        yield _power(ports)
        yield from _lines(ports, mine, log)
        try:
            volume = ports.volume()
            yield from _volume(volume, mine)
        except BenchError as error:
            yield missing("SD card", error)
            return
        if boot:
            yield _npu(Session(ports, mine, firmware_image(), log, lease.require), mine)
        else:
            yield Finding(
                "MACs/cc",
                State.NOTE,
                f"{mine.macs} according to the settings; --boot reads it from the NPU",
            )


def _pyserial() -> Finding:
    try:
        # labgrid brings its own build of it under another name, so check for the module.
        import serial

        return found("pyserial", str(serial.__version__))
    except ImportError:
        error = PrerequisiteError(
            "the package pyserial is not installed", cure="pip install ethos-u55-bench[board]"
        )
        return missing("pyserial", error)


def _firmware() -> Finding:
    try:
        return found("firmware", f"{len(firmware_image()):,} bytes")
    except BenchError as error:
        return missing("firmware", error)


def _quarantine(quarantine: Quarantine) -> Finding:
    try:
        quarantine.require_free()
    except BoardUnavailableError as error:
        return missing("quarantine", error)
    return found("quarantine", "none")


def _power(ports: BoardPorts) -> Finding:
    if ports.power is not None:
        return found("power", "can be cycled")
    return Finding(
        "power",
        State.NOTE,
        "nothing can switch the board: a boot that hangs needs a person",
        "set power_command in [targets.mps3]",
    )


def _lines(ports: BoardPorts, settings: Mps3Settings, log: BoardLog) -> Iterator[Finding]:
    try:
        console = Console(ports.open_console(), settings.timings, log)
    except BenchError as error:
        yield missing("MCC console", error)
    else:
        try:
            console.require_prompt()
            yield found("MCC console", "gives its prompt")
        except BenchError as error:
            yield missing("MCC console", error)
        finally:
            console.close()
    try:
        ports.open_uart().close()
        yield found("UART0", "can be opened")
    except BenchError as error:
        yield missing("UART0", error)


def _volume(volume: Volume, settings: Mps3Settings) -> Iterator[Finding]:
    if not volume.present():
        raise CardError(
            f"{volume.describe()} is not mounted",
            cure="mount the drive labelled V2M-MPS3 (udisksctl mount), or type usb_on at the "
            "MCC's prompt if it does not appear; or set volume in [targets.mps3]",
        )
    folder = check_volume(volume, settings.application_note)
    yield found("SD card", f"{volume.describe()}, {folder}")
    bitfiles = [name for name in volume.listing(folder) if name.lower().endswith(".bit")]
    yield (
        found("bitfile", ", ".join(bitfiles))
        if bitfiles
        else missing(
            "bitfile",
            CardError(
                f"{folder} has no .bit file",
                cure=f"copy Arm's {settings.application_note} bundle onto the card",
            ),
        )
    )
    yield _room(volume, settings)
    images = volume.read(f"{folder}/images.txt") or b""
    if is_ours(images):
        yield Finding(
            "images.txt",
            State.NOTE,
            "is the bench's, because a run was killed; the next run or `bench doctor --boot` "
            "restores it",
        )
    if Path(volume.describe()).is_dir() and not os.access(volume.describe(), os.W_OK):
        raise CardError(
            f"{volume.describe()} cannot be written by this user",
            cure="mount it with uid= of this user (as udisksctl does), and not read-only",
        )
    yield found("writable", "yes")


def _room(volume: Volume, settings: Mps3Settings) -> Finding:
    free, wanted = volume.free_bytes(), _IMAGES_ON_CARD * settings.image_mib * MIB
    text = f"{free / MIB:,.0f} MiB free; two job images may take {wanted / MIB:,.0f}"
    if free >= wanted:
        return found("room", text)
    cure = "make room on the card, or lower image_mib in [targets.mps3]"
    return Finding("room", State.MISSING, text, cure)


def _npu(session: Session, settings: Mps3Settings) -> Finding:
    """Boot with a job that does nothing: the firmware says which NPU it found."""
    arena = next(bank for bank in NPU_MEMORIES if bank.name == "ISRAM")
    job = DeviceJob(
        name="doctor",
        macs=settings.macs,
        commands=_STOP,
        flash=bytes(16),
        arena_address=arena.address,
        arena_bytes=1024,
        regions=(RegionBase(Space.FLASH), RegionBase(Space.ARENA), *[None] * 6),
    )
    load = Load(build_image(Image((job,))), (Unit(0, 0),), (job.name,))
    try:
        for _, answer in session.run(load):
            if answer.error is not None:
                raise CardError(answer.error.sentence)
        session.restore()
    except BenchError as error:
        return missing("MACs/cc", error)
    finally:
        session.reopen()
    return found("MACs/cc", f"{settings.macs}, read from the NPU")
