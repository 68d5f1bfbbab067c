"""A serial line through pyserial: 115,200 baud, 8N1, no flow control, no other reader."""

from __future__ import annotations

import time
from typing import Any

from bench.core.errors import PrerequisiteError
from targets.mps3.errors import BoardError

__all__ = ["SerialLine"]

_BAUD = 115_200
#: Seconds of a single wait; longer waits consist of several, so that Ctrl-C ends them.
_SLICE = 0.01
_WRITE_TIMEOUT = 10.0


class SerialLine:
    """The port `Line` for a device file or a pyserial URL."""

    def __init__(self, address: str) -> None:
        """Open it. Raises `PrerequisiteError` without pyserial, `BoardError` if it fails."""
        try:
            import serial
        except ImportError as error:
            raise PrerequisiteError(
                "the package pyserial is not installed", cure="pip install ethos-u55-bench[board]"
            ) from error
        self._address = address
        self._failure: type[Exception] = serial.SerialException
        try:
            self._port: Any = serial.serial_for_url(
                address, baudrate=_BAUD, timeout=_SLICE, do_not_open=True
            )
            if "://" not in address:
                # Refuses any second reader, not only the bench.
                self._port.exclusive = True
                self._port.write_timeout = _WRITE_TIMEOUT
            self._port.open()
        except (serial.SerialException, OSError, ValueError) as error:
            raise BoardError(
                f"the serial port {address} cannot be opened: {error}",
                cure="close other programs that use it; your user must be in the group of the "
                "device (usually dialout)",
            ) from error

    def read(self, timeout: float) -> bytes:
        """What arrived within `timeout` seconds, or b"". Raises `BoardError`."""
        end = time.monotonic() + timeout
        try:
            while True:
                waiting = self._port.in_waiting
                if waiting or timeout > 0:
                    data: bytes = self._port.read(max(1, waiting))
                    if data:
                        return data
                if time.monotonic() >= end:
                    return b""
        except (self._failure, OSError, TypeError) as error:
            raise self._gone(error) from error

    def write(self, data: bytes) -> None:
        """Send and wait until sent. Raises `BoardError`."""
        try:
            self._port.write(data)
            self._port.flush()
        except (self._failure, OSError) as error:
            raise self._gone(error) from error

    def close(self) -> None:
        """Close it."""
        self._port.close()

    def _gone(self, error: Exception) -> BoardError:
        return BoardError(
            f"the serial port {self._address} went away: {error}",
            cure="check the USB cable and dmesg",
        )
