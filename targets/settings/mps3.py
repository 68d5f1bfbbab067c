"""The settings of the board in `bench.toml`: the table `[targets.mps3]`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from bench.core.files import expanded
from targets.settings.board_place import BoardPlace, PoolBoard
from targets.settings.waits import LONGEST_WAIT_S

__all__ = ["Mps3Settings", "Timings"]

#: The shortest waits on a busy machine: between characters, and for an answer.
_LEAST_GAP, _LEAST_WAIT = 0.005, 0.3
#: What all boards of a pool may have in common, although a board may have its own.
_OF_ALL = frozenset({"labgrid_environment", "labgrid_volume"})


@dataclass(frozen=True)
class Timings:
    """How long to wait for the MCC, in seconds; docs/board.md says what is known about boards."""

    #: Between two characters; if they are less than 50 ms apart, they are lost.
    character: float = 0.060
    #: For the answer to a carriage return.
    prompt: float = 2.0
    #: Between attempts to get the prompt, because there is none for seconds after a write.
    prompt_again: float = 5.0
    #: For `Rebooting...` after the command.
    rebooting: float = 5.0

    def at_speed(self, speed: float) -> Timings:
        """The same for a virtual board whose clock runs `speed` times faster."""
        if speed == 1:
            return self
        scaled = {name: value / speed for name, value in vars(self).items()}
        return Timings(
            **{
                **scaled,
                "character": max(self.character / speed, _LEAST_GAP),
                "prompt": max(self.prompt / speed, _LEAST_WAIT),
                "rebooting": max(self.rebooting / speed, 5 * _LEAST_WAIT),
            }
        )


class Mps3Settings(BoardPlace):
    """How the board, or each board of a pool, is found and driven.

    Without settings, the only board is found by its USB ids.
    """

    #: The application note whose bitfile the card boots.
    application_note: Literal["AN552", "AN547"] = "AN552"
    #: How many inputs of a test set are run at most; 0 = all of them. At 115,200 baud the answers
    #: to a thousand take about a minute.
    samples: int = Field(1000, ge=0)
    #: How often each measurement is repeated; the median is reported.
    repetitions: int = Field(3, ge=1, le=1000)
    #: The most that a counter may differ between repetitions, as a share of its median.
    max_spread: float = Field(0.01, ge=0, le=1)
    #: MiB of one job image; the MCC's window onto the DDR has 64.
    image_mib: int = Field(32, ge=1, le=64)
    #: Seconds a boot may take.
    boot_timeout_s: float = Field(120, gt=0, le=LONGEST_WAIT_S)
    #: Seconds without a byte from the firmware; its own watchdog acts after 100 to 128.
    silence_s: float = Field(150, gt=0, le=LONGEST_WAIT_S)
    #: UART0's BAUDDIV for 115,200 baud. None: 217, which fits a clock of 25 MHz.
    uart_divider: int | None = Field(None, ge=1, le=0xFFFFF)
    #: Minutes to wait for a board that somebody else uses.
    lease_wait_minutes: float = Field(60, ge=0, le=LONGEST_WAIT_S / 60)
    #: Where leases and quarantines are kept, one place per machine. None: under the system's
    #: temporary directory.
    state_directory: Path | None = None
    #: For how many hours a board that failed twice is left alone.
    quarantine_hours: float = Field(12, ge=0, le=LONGEST_WAIT_S / 3600)
    #: The board is `targets.virtual.board` with this `--speed`; its figures are then labelled
    #: simulated. None: a real board.
    virtual_speed: float | None = Field(None, gt=0, le=1000)

    #: The boards of a pool; empty: there is one, which the settings above describe.
    boards: tuple[PoolBoard, ...] = ()

    @property
    def timings(self) -> Timings:
        """The waits, for this board's clock."""
        return Timings().at_speed(self.virtual_speed or 1.0)

    def members(self) -> Mapping[str, Mps3Settings]:
        """The settings of each board by itself, by its name; "" for the only one."""
        if not self.boards:
            return {"": self}
        return {name: self._alone(board) for board in self.boards for name in board.names}

    def _alone(self, board: PoolBoard) -> Mps3Settings:
        own = {key: getattr(board, key) for key in BoardPlace.model_fields}
        if board.is_behind_labgrid:
            own["labgrid_environment"] = board.labgrid_environment or self.labgrid_environment
            own["labgrid_volume"] = board.labgrid_volume or self.labgrid_volume
        return self.model_copy(update={**own, "boards": ()})

    def resolved(self, root: Path) -> Mps3Settings:
        """The same with relative paths taken from `root`."""
        state = self.state_directory
        return self.model_copy(
            update={
                **self.located(root),
                "state_directory": None if state is None else root / expanded(state),
                "boards": tuple(
                    board.model_copy(update=board.located(root)) for board in self.boards
                ),
            }
        )

    @model_validator(mode="after")
    def _is_one_board_or_a_pool(self) -> Mps3Settings:
        if not self.boards:
            if (self.labgrid_place or self.labgrid_tags) and self.labgrid_environment is None:
                raise ValueError("labgrid_place and labgrid_tags need labgrid_environment")
            return self
        fields = BoardPlace.model_fields
        alone = [
            key
            for key in fields
            if key not in _OF_ALL
            and getattr(self, key) != fields[key].get_default(call_default_factory=True)
        ]
        if alone:
            raise ValueError(f"with boards, each of them has its own {', '.join(alone)}")
        for board in self.boards:
            lacks = board.is_behind_labgrid and board.labgrid_environment is None
            if lacks and self.labgrid_environment is None:
                raise ValueError(f"board {board.name!r} needs labgrid_environment")
        _require_unlike("name", (name for board in self.boards for name in board.names))
        _require_unlike("console", (board.console for board in self.boards))
        _require_unlike("serial_number", (board.serial_number for board in self.boards))
        _require_unlike("volume", (str(board.volume or "") for board in self.boards))
        _require_unlike("labgrid_place", (board.labgrid_place for board in self.boards))
        return self


def _require_unlike(key: str, values: Iterable[str]) -> None:
    """One board is listed once: whoever has it has all of it."""
    for value, times in Counter(values).items():
        if value and times > 1:
            raise ValueError(f"{times} boards have the same {key}: {value}")
