"""A visit to one board: lease it, run what is given, restore its card, release it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bench.core.errors import BenchError
from targets.ethos_u55.pmu_events import EVENT_NUMBERS
from targets.firmware import firmware_elf, firmware_sha256
from targets.firmware.elf import read_elf
from targets.mps3.batching import Work
from targets.mps3.errors import BoardError
from targets.mps3.lease import acquire, default_directory
from targets.mps3.local_ports import LocalPorts
from targets.mps3.log import BoardLog
from targets.mps3.ports import BoardPorts
from targets.mps3.quarantine import Quarantine
from targets.mps3.recovery import answers
from targets.mps3.session import Session
from targets.protocol import Job, Measurement, Source
from targets.settings.mps3 import Mps3Settings
from targets.simulator.modelled_events import modelled_events

__all__ = [
    "OpenPorts",
    "Visitor",
    "Works",
    "countable_events",
    "firmware_image",
    "open_ports",
    "source_of",
    "works_of",
]

OpenPorts: TypeAlias = Callable[[Mps3Settings], BoardPorts]
#: The works by their jobs' numbers; whoever runs them removes those that are done.
Works: TypeAlias = dict[int, Work]

_RESTORE_ATTEMPTS = 3
_NOT_MODELLED = "not modelled by the virtual board"


def open_ports(settings: Mps3Settings) -> BoardPorts:
    """The ports that `settings` describe. Raises `BoardUnavailableError`, `PrerequisiteError`."""
    if settings.labgrid_environment is None:
        return LocalPorts(settings)
    # labgrid is an extra, and takes half a second to import.
    from targets.mps3.labgrid.ports import LabgridPorts

    return LabgridPorts(settings)


def firmware_image() -> bytes:
    """The shipped firmware as the MCC loads it: the contents of the ITCM, from address 0 on."""
    program = read_elf(firmware_elf(), "the firmware")
    image = bytearray(max(s.address + len(s.data) for s in program.segments))
    for segment in program.segments:
        image[segment.address : segment.address + len(segment.data)] = segment.data
    return bytes(image)


def source_of(settings: Mps3Settings) -> Source:
    """The source of the board's measurements."""
    return Source.BOARD if settings.virtual_speed is None else Source.SIMULATED


def countable_events(settings: Mps3Settings) -> frozenset[str]:
    """The events that the board's NPU counts, by Arm's names."""
    return frozenset(EVENT_NUMBERS) if settings.virtual_speed is None else modelled_events()


def works_of(
    jobs: Iterable[tuple[int, Job]], repetitions: int
) -> tuple[Works, list[tuple[int, BenchError]]]:
    """The work of each numbered job, and the jobs that the firmware cannot run, with the reason."""
    works: Works = {}
    refused = []
    for number, job in jobs:
        try:
            works[number] = Work(number, job, repetitions)
        except BenchError as error:
            refused.append((number, error))
    return works, refused


@dataclass(frozen=True)
class Visitor:
    """What is needed to visit a board."""

    #: Of this board alone.
    settings: Mps3Settings
    #: Where the board's logs go.
    logs: Path
    ports: OpenPorts = open_ports
    #: Gets what is being done with the board, and "" when all is done.
    progress: Callable[[str], None] | None = None
    #: The board's name in its pool; empty for the only one.
    name: str = ""

    def visit(
        self, purpose: str, take: Callable[[], Works]
    ) -> Iterator[tuple[int, Measurement | BenchError]]:
        """Lease the board and run what `take` gives, until it gives nothing.

        `take` is asked when the board is ours and both its lines are open. Yields outcomes as soon
        as they are known, and removes their works from what `take` gave. About works that are left
        when this raises, nothing is known.

        Raises `BoardUnavailableError` and `CardError` when the board is not there, or no longer;
        other `BenchError`s for what its siblings would not do better either, except
        `WrongBoardError`.
        """
        settings = self.settings
        directory = settings.state_directory or default_directory()
        log = BoardLog(self.logs, self.progress)
        with ExitStack() as stack:
            if self.progress is not None:
                stack.callback(self.progress, "")
            ports = self.ports(settings)
            stack.callback(ports.close)
            quarantine = Quarantine(directory, ports.key, settings.quarantine_hours)
            quarantine.require_free()
            lease = acquire(
                directory,
                ports.key,
                purpose=purpose,
                wait=60 * settings.lease_wait_minutes,
                on_wait=log.step,
            )
            stack.callback(lease.release)
            # The board may have failed while we waited.
            quarantine.require_free()
            session = Session(ports, settings, firmware_image(), log, lease.require)
            stack.callback(session.reopen)
            stack.callback(_give_back, session, log)
            session.open()
            while works := take():
                yield from self._answered(session, works, quarantine, log)
            log.step(f"done with {session.boots} boots")

    def _answered(
        self, session: Session, works: Works, quarantine: Quarantine, log: BoardLog
    ) -> Iterator[tuple[int, Measurement | BenchError]]:
        for unit, answer in answers(session, works, self.settings, quarantine, log):
            work = works.get(unit.job)
            if work is None:
                continue
            try:
                work.take(unit.row, answer)
                if not work.complete:
                    continue
                outcome: Measurement | BenchError = self._measurement(work)
            except BenchError as error:
                outcome = error
            del works[unit.job]
            yield unit.job, outcome

    def _measurement(self, work: Work) -> Measurement:
        settings = self.settings
        countable = countable_events(settings)
        virtual = settings.virtual_speed is not None
        board = "the virtual board: figures are simulated" if virtual else "MPS3"
        return work.measurement(
            source_of(settings),
            max_spread=settings.max_spread,
            unavailable={name: _NOT_MODELLED for name in EVENT_NUMBERS if name not in countable},
            provenance={
                "board": f"{board} ({self.name})" if self.name else board,
                "bitfile": f"{settings.application_note}, {settings.macs} MACs/cc as read back",
                "firmware": firmware_sha256(),
            },
        )


def _give_back(session: Session, log: BoardLog) -> None:
    """Restore the card. If that fails, the measurements are still kept."""
    for attempt in range(_RESTORE_ATTEMPTS):
        try:
            session.restore()
        except BoardError as error:
            # A board withdraws its card while it boots.
            log.step(f"the card could not be restored, attempt {attempt + 1}: {error.what}")
        except BenchError as error:
            log.step(f"the card could not be restored; the next bench does it: {error.what}")
            return
        else:
            return
