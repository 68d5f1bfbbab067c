"""Which board of a pool gets which jobs. Pure: told what happened, it says what is to be done.

Each bitfile has one number of MACs, so the boards with the same number are siblings, and a job goes
to any of its siblings. A boot takes minutes, a job milliseconds; so a board gets its share at once,
when it is ready, and not before: a board that somebody else uses keeps nothing waiting. A board
that is lost gives back what it has not answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from bench.core.errors import BenchError, TargetError, TargetUnavailableError
from targets.ethos_u55.accelerators import Accelerator
from targets.mps3.errors import BoardUnavailableError

__all__ = ["Shares", "Task"]


@dataclass(frozen=True)
class Task:
    """A job, as far as it matters here."""

    macs: Accelerator
    #: In any unit.
    cost: float = 1


class _State(Enum):
    #: Nobody visits it.
    IDLE = "idle"
    #: It is being opened, or we wait for others who use it.
    WAITING = "waiting"
    #: It is ours, and has asked for work at least once.
    OURS = "ours"
    LOST = "lost"


@dataclass
class _Board:
    macs: Accelerator
    state: _State = _State.IDLE
    #: Numbers of the jobs that it has and has not answered.
    has: set[int] = field(default_factory=set)
    #: Why it is lost.
    reason: BenchError | None = None


class Shares:
    """The jobs of a batch, and where each is."""

    def __init__(self, boards: Mapping[str, Accelerator], tasks: Mapping[int, Task]) -> None:
        """`boards` are the MACs by name, `tasks` the jobs by number; both in order."""
        self._boards = {name: _Board(macs) for name, macs in boards.items()}
        self._tasks = dict(tasks)
        self._left = list(tasks)

    @property
    def any_left(self) -> bool:
        """Whether there is a job that no board has."""
        return bool(self._left)

    def to_visit(self) -> list[str]:
        """The idle boards for which there is work."""
        return [
            name
            for name, board in self._boards.items()
            if board.state is _State.IDLE and self._left_for(board.macs)
        ]

    def in_vain(self) -> list[str]:
        """The boards that are waited for although no job of their siblings is open any more."""
        return [
            name
            for name, board in self._boards.items()
            if board.state is _State.WAITING
            and not self._left_for(board.macs)
            and not any(sibling.has for sibling in self._siblings(board.macs))
        ]

    def visit(self, name: str) -> None:
        """Somebody is on the way to the board."""
        self._boards[name].state = _State.WAITING

    def take(self, name: str) -> list[int]:
        """The next share of a board that is ready; empty if it is no longer needed.

        Its first share leaves as much for each sibling that may still come. When it comes again and
        they have not, it gets all: its boots are few, and theirs may be hours away.
        """
        board = self._boards[name]
        left = self._left_for(board.macs)
        absent = sum(
            sibling.state in (_State.IDLE, _State.WAITING)
            for sibling in self._siblings(board.macs)
            if sibling is not board
        )
        others = absent if board.state is _State.WAITING else 0
        board.state = _State.OURS
        share = self._first(left, 1 / (1 + others))
        board.has.update(share)
        self._left = [number for number in self._left if number not in board.has]
        return share

    def done(self, name: str, number: int) -> None:
        """The board has answered a job."""
        self._boards[name].has.discard(number)

    def has(self, name: str) -> list[int]:
        """The jobs that the board has and has not answered."""
        return sorted(self._boards[name].has)

    def ended(self, name: str) -> None:
        """The visit is over, and the board may be visited again."""
        board = self._boards[name]
        if board.has:
            self.lost(name, TargetError(f"board {name} left {len(board.has)} jobs unanswered"))
            return
        board.state = _State.IDLE

    def lost(self, name: str, reason: BenchError) -> int:
        """The board is not there for this batch. Returns how many jobs go back to its siblings."""
        board = self._boards[name]
        board.state, board.reason = _State.LOST, reason
        returned = len(board.has)
        # In the order of the plan again, so that cells of one model stay together.
        back = {*self._left, *board.has}
        self._left = [number for number in self._tasks if number in back]
        board.has = set()
        return returned

    def hopeless(self) -> list[tuple[int, BenchError]]:
        """The open jobs that no board can take, each with the reason; they are open no longer."""
        given_up = []
        for macs in dict.fromkeys(self._tasks[number].macs for number in self._left):
            siblings = self._siblings(macs)
            if all(board.state is _State.LOST for board in siblings):
                error = self._why(macs)
                given_up += [(number, error) for number in self._left_for(macs)]
        gone = {number for number, _ in given_up}
        self._left = [number for number in self._left if number not in gone]
        return given_up

    def _left_for(self, macs: Accelerator) -> list[int]:
        return [number for number in self._left if self._tasks[number].macs == macs]

    def _siblings(self, macs: Accelerator) -> list[_Board]:
        return [board for board in self._boards.values() if board.macs == macs]

    def _first(self, numbers: Iterable[int], part: float) -> list[int]:
        """As many of `numbers`, from the front, as make up `part` of the cost; at least one."""
        numbers = list(numbers)
        wanted = part * sum(self._tasks[number].cost for number in numbers)
        share: list[int] = []
        cost = 0.0
        for number in numbers:
            # Half of a job more is nearer to the part than half of a job less.
            if share and cost + self._tasks[number].cost / 2 > wanted:
                break
            share.append(number)
            cost += self._tasks[number].cost
        return share

    def _why(self, macs: Accelerator) -> BenchError:
        pool = ", ".join(f"{name} {board.macs}" for name, board in self._boards.items())
        reasons = {
            name: board.reason
            for name, board in self._boards.items()
            if board.macs == macs and board.reason is not None
        }
        if not reasons:
            return BoardUnavailableError(
                f"no board of the pool has {macs} MACs/cc; it has: {pool}",
                cure="leave this accelerator out of grid.macs, or add a board",
            )
        words = "\n".join(f"   {name}: {reason.what}" for name, reason in reasons.items())
        what = f"no board with {macs} MACs/cc is left of the pool ({pool}):\n{words}"
        cure = "; ".join(dict.fromkeys(reason.cure for reason in reasons.values() if reason.cure))
        # Only if every board was merely not there, may the run pass without these cells.
        absent = all(isinstance(reason, TargetUnavailableError) for reason in reasons.values())
        return (BoardUnavailableError if absent else TargetError)(what, cure=cure)
