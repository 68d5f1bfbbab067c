"""The settings of the board in `bench.toml`: the table `[targets.mps3]`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from bench.core.files import expanded
from bench.core.schema import StrictModel
from targets.ethos_u55.accelerators import Accelerator
from targets.settings.waits import LONGEST_WAIT_S

__all__ = ["Mps3Settings", "Timings"]

#: The shortest waits on a busy machine: between characters, and for an answer.
_LEAST_GAP, _LEAST_WAIT = 0.005, 0.3


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


class Mps3Settings(StrictModel):
    """How the board is found and driven. Without settings, it is found by its USB ids."""

    #: The MCC's console: a device, or an address that pyserial understands (`socket://host:port`).
    #: Empty: found by its USB id.
    console: str = ""
    #: The application UART, given in the same way.
    uart: str = ""
    #: Where the SD card is mounted. None: found by its label.
    volume: Path | None = None
    #: USB serial number, if several boards are attached.
    serial_number: str = ""
    #: The application note whose bitfile the card boots.
    application_note: Literal["AN552", "AN547"] = "AN552"
    #: MACs per cycle of the bitfile's NPU. Read back from the NPU in every run.
    macs: Accelerator = Accelerator.U55_128
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
    #: The command that switches the board off and on; empty: there is none.
    power_command: tuple[str, ...] = ()
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

    #: A labgrid environment; console, UART, card and power then come from there.
    labgrid_environment: Path | None = None
    #: Where the card is mounted on the board's machine. Empty: labgrid's `card`.
    labgrid_volume: str = ""

    @property
    def timings(self) -> Timings:
        """The waits, for this board's clock."""
        return Timings().at_speed(self.virtual_speed or 1.0)

    def resolved(self, root: Path) -> Mps3Settings:
        """The same with relative paths taken from `root`."""

        def at_root(path: Path | None) -> Path | None:
            return None if path is None else root / expanded(path)

        return self.model_copy(
            update={
                "volume": at_root(self.volume),
                "labgrid_environment": at_root(self.labgrid_environment),
                "state_directory": at_root(self.state_directory),
            }
        )

    @model_validator(mode="after")
    def _ports_belong_together(self) -> Mps3Settings:
        explicit = [bool(self.console), bool(self.uart), self.volume is not None]
        if any(explicit) and not all(explicit):
            raise ValueError("give all of console, uart and volume, or none of them")
        if any(explicit) and self.labgrid_environment is not None:
            raise ValueError(
                "console, uart and volume come from labgrid_environment: remove one or the other"
            )
        return self
