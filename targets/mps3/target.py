"""Target `mps3`: an MPS3 board, through its MCC console, its SD card and its UART."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from bench.core.errors import BenchError, PrerequisiteError
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.pmu_events import EVENT_NUMBERS
from targets.firmware import firmware_elf, firmware_sha256
from targets.firmware.elf import read_elf
from targets.mps3.batching import Work
from targets.mps3.errors import BoardError, BoardUnavailableError, CardError
from targets.mps3.lease import acquire, default_directory
from targets.mps3.local_ports import LocalPorts
from targets.mps3.log import BoardLog
from targets.mps3.ports import BoardPorts
from targets.mps3.quarantine import Quarantine
from targets.mps3.recovery import answers
from targets.mps3.session import Session
from targets.protocol import Capabilities, Job, Measurement, Source
from targets.settings.mps3 import Mps3Settings
from targets.simulator.modelled_events import modelled_events

__all__ = ["Mps3Target", "firmware_image", "open_ports"]

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


class Mps3Target:
    """The board behind the `BatchTarget` protocol.

    The board is leased, and its card changed, only for the duration of a batch.
    """

    def __init__(
        self,
        settings: Mps3Settings,
        logs: Path,
        ports: Callable[[Mps3Settings], BoardPorts] = open_ports,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        """`progress` gets what is being done with the board, and "" when all is done."""
        self._settings = settings
        self._logs = logs
        self._progress = progress
        self._open_ports = ports
        self._directory = settings.state_directory or default_directory()

    def capabilities(self) -> Capabilities:
        """The one accelerator of the bitfile, every memory mode, every event of the NPU."""
        virtual = self._settings.virtual_speed is not None
        return Capabilities(
            name="mps3",
            source=Source.SIMULATED if virtual else Source.BOARD,
            events=modelled_events() if virtual else frozenset(EVENT_NUMBERS),
            executes_artefact=True,
            accelerators=frozenset({Accelerator(self._settings.macs)}),
            samples=self._settings.samples or None,
        )

    def fingerprint(self) -> Mapping[str, str]:
        """Bitfile, firmware and repetitions.

        They come from the settings; every batch checks that the board agrees with them.
        """
        settings = self._settings
        return {
            "firmware": firmware_sha256(),
            "bitfile": f"{settings.application_note}, {settings.macs} MACs/cc",
            "repetitions": str(settings.repetitions),
            "board": settings.serial_number,
        }

    def programs(self) -> Sequence[str]:
        """The virtual board, if the board is virtual."""
        return () if self._settings.virtual_speed is None else ("targets.virtual.board.__main__",)

    def prepare(self) -> None:
        """Check that the packages are installed. Raises `PrerequisiteError`.

        The board itself is looked for when a batch begins. Cached measurements need no board, and a
        missing board must not keep other targets from being measured.
        """
        package, extra = (
            ("serial", "board")
            if self._settings.labgrid_environment is None
            else ("labgrid", "labgrid")
        )
        if find_spec(package) is None:
            raise PrerequisiteError(
                f"target mps3 needs the package {package}, which is not installed",
                cure=f"pip install ethos-u55-bench[{extra}], in a checkout .[{extra}]",
            )

    def run(self, job: Job) -> Measurement:
        """A batch of one. Raises `TargetError`, `PrerequisiteError`; see `run_batch`."""
        for _, outcome in self.run_batch([job]):
            if isinstance(outcome, BenchError):
                raise outcome
            return outcome
        raise AssertionError("run_batch gave nothing for a job")

    def run_batch(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Measurement | BenchError]]:
        """See `BatchTarget.run_batch`.

        A job that the firmware cannot run, or whose answer is wrong, ends as a `TargetError`. If
        there is no board, or no longer, all remaining jobs end as a `PrerequisiteError`: nothing is
        known about them.
        """
        works: dict[int, Work] = {}
        for number, job in enumerate(jobs):
            try:
                works[number] = Work(number, job, self._settings.repetitions)
            except BenchError as error:
                yield number, error
        if not works:
            return
        try:
            yield from self._on_board(works)
        except (BoardUnavailableError, CardError, BoardError) as error:
            for number in works:
                yield number, _unavailable(error)
        except BenchError as error:
            for number in works:
                yield number, error

    def close(self) -> None:
        """Nothing is held between batches."""

    def _on_board(self, works: dict[int, Work]) -> Iterator[tuple[int, Measurement | BenchError]]:
        """Run `works`, which shrinks as they are done."""
        settings = self._settings
        log = BoardLog(self._logs / "mps3", self._progress)
        with ExitStack() as stack:
            if self._progress is not None:
                stack.callback(self._progress, "")
            ports = self._open_ports(settings)
            stack.callback(ports.close)
            quarantine = Quarantine(self._directory, ports.key, settings.quarantine_hours)
            quarantine.require_free()
            lease = acquire(
                self._directory,
                ports.key,
                purpose=f"bench, {len(works)} measurements",
                wait=60 * settings.lease_wait_minutes,
                on_wait=log.step,
            )
            stack.callback(lease.release)
            # The board may have failed while we waited.
            quarantine.require_free()
            session = Session(ports, settings, firmware_image(), log, lease.require)
            stack.callback(session.reopen)
            stack.callback(self._give_back, session, log)
            session.open()
            given = answers(session, works, settings, quarantine, log)
            for unit, answer in given:
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
            log.step(f"done with {session.boots} boots")

    def _measurement(self, work: Work) -> Measurement:
        settings = self._settings
        capabilities = self.capabilities()
        return work.measurement(
            capabilities.source,
            max_spread=settings.max_spread,
            unavailable={
                name: _NOT_MODELLED for name in EVENT_NUMBERS if name not in capabilities.events
            },
            provenance={
                "board": "the virtual board: figures are simulated"
                if settings.virtual_speed is not None
                else "MPS3",
                "bitfile": f"{settings.application_note}, {settings.macs} MACs/cc as read back",
                "firmware": firmware_sha256(),
            },
        )

    def _give_back(self, session: Session, log: BoardLog) -> None:
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


def _unavailable(error: BenchError) -> BenchError:
    if isinstance(error, BoardError):
        return BoardUnavailableError(error.what, cure=error.cure)
    return error
