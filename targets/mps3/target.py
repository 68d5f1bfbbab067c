"""Target `mps3`: MPS3 boards, through their MCC consoles, SD cards and UARTs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from bench.core.errors import BenchError, PrerequisiteError
from targets.firmware import firmware_sha256
from targets.mps3.errors import BoardError, BoardUnavailableError, CardError
from targets.mps3.pool.running import run_pool
from targets.mps3.visit import (
    OpenPorts,
    Visitor,
    countable_events,
    open_ports,
    source_of,
    works_of,
)
from targets.protocol import Capabilities, Job, Measurement
from targets.settings.mps3 import Mps3Settings

__all__ = ["Mps3Target"]


class Mps3Target:
    """The board, or the pool of boards, behind the `BatchTarget` protocol.

    A board is leased, and its card changed, only for the duration of a batch.
    """

    def __init__(
        self,
        settings: Mps3Settings,
        logs: Path,
        ports: OpenPorts = open_ports,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        """`progress` gets what is being done with the boards, and "" when all is done.

        `ports` opens the only board; those of a pool are opened in their own processes.
        """
        self._settings = settings
        self._logs = logs / "mps3"
        self._progress = progress
        self._open_ports = ports

    def capabilities(self) -> Capabilities:
        """The accelerators of the bitfiles, every memory mode, every event of the NPU."""
        settings = self._settings
        return Capabilities(
            name="mps3",
            source=source_of(settings),
            events=countable_events(settings),
            executes_artefact=True,
            accelerators=frozenset(one.macs for one in settings.members().values()),
            samples=settings.samples or None,
        )

    def fingerprint(self) -> Mapping[str, str]:
        """Bitfile, firmware and repetitions.

        They come from the settings; every batch checks that the board agrees with them. The boards
        of a pool count as equal where their NPUs have the same number of MACs, which the compiled
        model states; so a pool may grow and shrink without measuring anything again.
        """
        settings = self._settings
        note = settings.application_note
        return {
            "firmware": firmware_sha256(),
            "bitfile": note if settings.boards else f"{note}, {settings.macs} MACs/cc",
            "repetitions": str(settings.repetitions),
            "board": "any of a pool" if settings.boards else settings.serial_number,
        }

    def programs(self) -> Sequence[str]:
        """The virtual board, if the board is virtual."""
        return () if self._settings.virtual_speed is None else ("targets.virtual.board.__main__",)

    def prepare(self) -> None:
        """Check that the packages are installed. Raises `PrerequisiteError`.

        The boards themselves are looked for when a batch begins. Cached measurements need no board,
        and a missing board must not keep other targets from being measured.
        """
        for settings in self._settings.members().values():
            package, extra = (
                ("labgrid", "labgrid") if settings.is_behind_labgrid else ("serial", "board")
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
        there is no board for it, or no longer, it ends as a `PrerequisiteError`: nothing is known
        about it.
        """
        if self._settings.boards:
            yield from run_pool(self._settings.members(), jobs, self._logs, self._progress)
        else:
            yield from self._on_the_only_board(jobs)

    def close(self) -> None:
        """Nothing is held between batches."""

    def _on_the_only_board(
        self, jobs: Sequence[Job]
    ) -> Iterator[tuple[int, Measurement | BenchError]]:
        works, refused = works_of(enumerate(jobs), self._settings.repetitions)
        yield from refused
        if not works:
            return
        batches = iter([works])
        visitor = Visitor(self._settings, self._logs, self._open_ports, self._progress)
        try:
            yield from visitor.visit(f"bench, {len(works)} measurements", lambda: next(batches, {}))
        except (BoardUnavailableError, CardError, BoardError) as error:
            for number in works:
                yield number, _unavailable(error)
        except BenchError as error:
            for number in works:
                yield number, error


def _unavailable(error: BenchError) -> BenchError:
    if isinstance(error, BoardError):
        return BoardUnavailableError(error.what, cure=error.cure)
    return error
