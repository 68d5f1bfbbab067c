"""Recovery: the steps that are tried, in their order, when a board does not do what it should."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum

from targets.jobs.answers import JobAnswer
from targets.mps3.batching import Load, Unit, Work, pack
from targets.mps3.errors import BoardError, BoardUnavailableError
from targets.mps3.log import BoardLog
from targets.mps3.quarantine import FAILURES, Quarantine
from targets.mps3.session import Session
from targets.settings.mps3 import Mps3Settings

__all__ = ["Rung", "answers"]

#: The most faults in one batch, even if there is progress.
_FAULTS_MAX = 24


class Rung(Enum):
    """A step against a fault. The first two cost seconds, the others a boot."""

    PROMPT = "open the ports again, ask for a prompt, boot"
    RESET = "reset the device, which still has its image"
    REBOOT = "reboot"
    POWER = "cycle the power, then reboot"


def answers(
    session: Session,
    works: Mapping[int, Work],
    settings: Mps3Settings,
    quarantine: Quarantine,
    log: BoardLog,
) -> Iterator[tuple[Unit, JobAnswer]]:
    """Boot as often as necessary until no work has units left; yields answers as they arrive.

    What the caller takes of them, and removes from `works`, decides what is left. So answers
    survive every fault. After a fault the next step is tried; after an answer the steps start again
    from the first. If no step helps, the board has failed. A board that failed twice in a row is
    quarantined.

    Raises `BoardUnavailableError` then, with the last steps, and `CardError` and `TargetError` at
    once.
    """
    ladder: list[Rung] = []
    load: Load | None = None
    faults = 0
    while any(work.units for work in works.values()):
        rung = ladder.pop(0) if ladder else None
        if load is None or not _still_wanted(load, works):
            left = [work for work in works.values() if work.units]
            load = pack(left, settings.image_mib << 20, settings.uart_divider)
        progress = False
        try:
            for index, answer in _attempt(session, load, rung, log):
                progress = True
                yield load.units[index], answer
            quarantine.worked()
            ladder = []
        except BoardError as fault:
            faults += 1
            log.step(f"fault: {fault.what}")
            # After a partial answer, only the rest gets an image.
            rungs = _rungs(session, resettable=session.running is load and not progress)
            if rung is None or progress:
                ladder = rungs
            if not ladder or faults > _FAULTS_MAX:
                _give_up(fault, quarantine, log)
                ladder, faults = rungs, 0


def _rungs(session: Session, *, resettable: bool) -> list[Rung]:
    first = Rung.RESET if resettable else Rung.PROMPT
    power = [Rung.POWER] if session.can_cycle_power else []
    return [first, Rung.REBOOT, *power]


def _attempt(
    session: Session, load: Load, rung: Rung | None, log: BoardLog
) -> Iterator[tuple[int, JobAnswer]]:
    if rung is not None:
        log.step(f"recovery: {rung.value}")
        session.reopen()
    if rung is Rung.RESET:
        return session.reset(load)
    if rung is Rung.POWER:
        session.cycle_power()
    return session.run(load)


def _still_wanted(load: Load, works: Mapping[int, Work]) -> bool:
    """Whether no job of the image was answered, so that it need not be written again."""
    left = {unit for work in works.values() for unit in work.units}
    return set(load.units) <= left


def _give_up(fault: BoardError, quarantine: Quarantine, log: BoardLog) -> None:
    """No step has helped. Raises `BoardUnavailableError` when the board fails too often."""
    log.step("no step has helped: the board failed")
    if quarantine.failed(fault.what) < FAILURES:
        return
    log.step("the board is quarantined")
    raise BoardUnavailableError(
        f"the board failed {FAILURES} times in a row and is quarantined: {fault.what}\n"
        f"   the last steps:\n{log.recent}",
        cure=f"repair it, then remove {quarantine.path}; the full log is in {log.directory}",
    ) from fault
