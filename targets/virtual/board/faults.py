"""Faults of the virtual board: what can go wrong, and when it does.

They are in `faults.json` in the board's directory: a list of `Fault`, read again whenever the file
changes. A counted fault happens `times` times and is then gone.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bench.core.schema import StrictModel
from targets.virtual.errors import ParameterError

__all__ = ["FAULTS_FILE", "Fault", "FaultKind", "Faults"]

FAULTS_FILE = "faults.json"
#: Bytes of garbage at the start of a boot.
GARBAGE = bytes(range(0x80, 0x100)) + b"\0BENCH1 0 {}\r\nCmd\xff>"


class FaultKind(str, Enum):
    """What goes wrong. `at` counts characters or bytes from 1, for the faults that use it."""

    #: The MCC loses character `at` of a line that is typed.
    MCC_DROP = "mcc_drop"
    #: The MCC takes character `at` of a line twice.
    MCC_REPEAT = "mcc_repeat"
    #: The MCC answers nothing until the power is cycled.
    MCC_SILENT = "mcc_silent"
    #: Noise on both ports when a boot begins.
    BOOT_GARBAGE = "boot_garbage"
    #: The boot stops before it loads anything; only a power cycle helps.
    BOOT_HANG = "boot_hang"
    #: The boot ends at a prompt, with an error and without a configured FPGA.
    BOOT_INCOMPLETE = "boot_incomplete"
    #: `reboot` does nothing.
    REBOOT_IGNORED = "reboot_ignored"
    #: UART0 says nothing in this run of the firmware.
    UART_SILENCE = "uart_silence"
    #: UART0 says nothing from byte `at` on.
    UART_CUT = "uart_cut"
    #: UART0 loses byte `at`.
    UART_LOSE = "uart_lose"
    #: A bit of UART0's byte `at` is wrong.
    UART_FLIP = "uart_flip"
    #: The NPU never finishes.
    NPU_HANG = "npu_hang"
    #: The bitfile has an NPU of `at` MACs.
    MACS = "macs"
    #: The volume goes away when something is written to it, until `usb_on` or a boot.
    VOLUME_VANISHES = "volume_vanishes"
    #: The host sees the debug drive instead of the volume, until the power is cycled.
    WRONG_VOLUME = "wrong_volume"


class Fault(StrictModel):
    """One fault. `times` 0 = always."""

    kind: FaultKind
    at: int = 1
    times: int = 1


_LIST: TypeAdapter[list[Fault]] = TypeAdapter(list[Fault])


class Faults:
    """The faults that are still to happen."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FAULTS_FILE
        self._stamp = 0
        self._left: list[tuple[Fault, int]] = []

    def refresh(self) -> None:
        """Read the file if it has changed. Raises `ParameterError` if it is wrong."""
        try:
            stamp = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            faults = _LIST.validate_json(self._path.read_bytes())
        except ValidationError as error:
            raise ParameterError(f"{self._path}: {error}") from error
        self._left = [(fault, fault.times) for fault in faults]

    def due(self, kind: FaultKind) -> Fault | None:
        """The fault of this kind that is still to happen, if there is one."""
        for fault, _ in self._left:
            if fault.kind is kind:
                return fault
        return None

    def take(self, kind: FaultKind) -> Fault | None:
        """The fault of this kind, if there is one; it happens now and is counted."""
        for index, (fault, left) in enumerate(self._left):
            if fault.kind is kind:
                if left == 1:
                    del self._left[index]
                elif left:
                    self._left[index] = fault, left - 1
                return fault
        return None
