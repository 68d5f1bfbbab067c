"""Where one board is: its ports on this machine, or its place behind labgrid, and its NPU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from bench.core.files import expanded
from bench.core.schema import StrictModel
from targets.ethos_u55.accelerators import Accelerator

__all__ = ["BoardPlace", "PoolBoard"]

#: A place's name stands alone on the command line of labgrid's client.
_PlaceName = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][^\s/]*)?$", max_length=200)]
#: Tags as labgrid's coordinator takes them.
_TagKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]+$", max_length=100)]
_TagValue = Annotated[str, StringConstraints(pattern=r"^[^\s=]+$", max_length=100)]
#: Part of file names.
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=40)]


class BoardPlace(StrictModel):
    """The settings that each board of a pool has for itself."""

    #: MACs per cycle of the bitfile's NPU. Read back from the NPU in every run.
    macs: Accelerator = Accelerator.U55_128
    #: The MCC's console: a device, or an address that pyserial understands (`socket://host:port`).
    #: Empty: found by its USB id.
    console: str = ""
    #: The application UART, given in the same way.
    uart: str = ""
    #: Where the SD card is mounted. None: found by its label.
    volume: Path | None = None
    #: USB serial number, if several boards are attached.
    serial_number: str = ""
    #: The command that switches the board off and on; empty: there is none.
    power_command: tuple[str, ...] = ()

    #: A labgrid environment; console, UART, card and power then come from there.
    labgrid_environment: Path | None = None
    #: The place, instead of the one that the environment names.
    labgrid_place: _PlaceName = ""
    #: Any place with these tags, which is then reserved.
    labgrid_tags: dict[_TagKey, _TagValue] = Field(default_factory=dict)
    #: Where the card is mounted on the board's machine. Empty: labgrid's `card`.
    labgrid_volume: str = ""

    @property
    def is_behind_labgrid(self) -> bool:
        """Whether labgrid reaches the board."""
        return self.labgrid_environment is not None or bool(self.labgrid_place or self.labgrid_tags)

    def located(self, root: Path) -> dict[str, Path | None]:
        """The paths, taken from `root` where they are relative."""
        return {
            name: None if path is None else root / expanded(path)
            for name, path in (
                ("volume", self.volume),
                ("labgrid_environment", self.labgrid_environment),
            )
        }

    @model_validator(mode="after")
    def _one_way_to_the_board(self) -> BoardPlace:
        ports = [bool(self.console), bool(self.uart)]
        if any(ports) != all(ports) or (any(ports) and self.volume is None):
            raise ValueError("give all of console, uart and volume, or none of them")
        if self.volume is not None and not (any(ports) or self.serial_number):
            raise ValueError(
                "give all of console, uart and volume, or none of them; volume alone needs "
                "serial_number"
            )
        if self.is_behind_labgrid and (any(ports) or self.volume is not None):
            raise ValueError(
                "console, uart and volume come from labgrid_environment: remove one or the other"
            )
        if self.labgrid_place and self.labgrid_tags:
            raise ValueError("give labgrid_place or labgrid_tags, not both")
        return self


class PoolBoard(BoardPlace):
    """One board of a pool, or several behind labgrid that have the same tags."""

    #: In messages, in records, and the directory of its logs.
    name: _Name
    macs: Accelerator
    #: How many of the places with `labgrid_tags` are used at the same time.
    count: int = Field(1, ge=1, le=64)

    @model_validator(mode="after")
    def _can_be_found(self) -> PoolBoard:
        if not (self.console or self.volume or self.is_behind_labgrid):
            raise ValueError(
                f"board {self.name!r} of a pool says where it is: console, uart and volume, or "
                "serial_number and volume, or labgrid_place, or labgrid_tags"
            )
        if self.count > 1 and not self.labgrid_tags:
            raise ValueError(f"board {self.name!r}: count is for labgrid_tags; list boards singly")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each board that this stands for."""
        if self.count == 1:
            return (self.name,)
        return tuple(f"{self.name}-{number}" for number in range(1, self.count + 1))
