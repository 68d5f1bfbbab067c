"""The MCC's console, by its rules: prompt first, one character at a time, never during a boot."""

from __future__ import annotations

import time
from collections.abc import Callable

from targets.mps3.errors import BoardError
from targets.mps3.log import BoardLog
from targets.mps3.ports import Line
from targets.settings.mps3 import Timings

__all__ = ["BOOT_DONE", "Console"]

_PROMPT = b"Cmd>"
_REBOOTING = b"Rebooting..."
#: The last line of a successful boot.
BOOT_DONE = b"FPGA configuration complete."
_PROMPT_ATTEMPTS = 3
#: After this many seconds without a byte the console's answer is complete.
_QUIET = 0.1
_SLICE = 0.02
#: How much of a boot's text is kept, for the error when it fails.
_SHOWN_LINES = 6


class Console:
    """One open console. `log` gets every byte, and every repetition."""

    def __init__(self, line: Line, timings: Timings, log: BoardLog) -> None:
        self._line = line
        self._timings = timings
        self._log = log

    def require_prompt(self) -> None:
        """Send a bare carriage return and expect `Cmd>`. Raises `BoardError` after three attempts.

        For seconds after a write to the card it only gives an empty line, so the attempts are
        `Timings.prompt_again` apart.
        """
        heard = b""
        for attempt in range(_PROMPT_ATTEMPTS):
            if attempt:
                time.sleep(self._timings.prompt_again)
            self._drain()
            self._type(b"\r")
            heard = self._listen(_PROMPT, self._timings.prompt)
            if _PROMPT in heard:
                return
            self._log.step(f"no prompt after carriage return {attempt + 1}: {heard[-40:]!r}")
        said = f"it said {heard[-80:]!r}" if heard else "it said nothing"
        raise BoardError(
            f"the MCC gives no prompt after {_PROMPT_ATTEMPTS} carriage returns: {said}",
            cure="check that this is the console (interface 00 of the board's USB ports), and that "
            "no other program reads it",
        )

    def command(self, text: str) -> None:
        """Type `text` at a prompt. Raises `BoardError` if there is none."""
        self.require_prompt()
        self._type(text.encode("ascii") + b"\r")

    def reboot(self) -> None:
        """Start a reboot. Raises `BoardError` when the MCC does not say that it reboots."""
        self.command("reboot")
        heard = self._listen(_REBOOTING, self._timings.rebooting)
        if _REBOOTING not in heard:
            raise BoardError(
                f"the MCC did not take the command to reboot; it said {heard[-120:]!r}",
                cure="it ignores the command while the card is being written, and loses characters",
            )

    def follow_boot(self, timeout: float, meanwhile: Callable[[], None]) -> None:
        """Read, without typing, until the boot is complete; `meanwhile` is called regularly.

        Raises `BoardError` when it ends otherwise or takes longer than `timeout` seconds.
        """
        heard = b""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            data = self._line.read(_SLICE)
            self._log.mcc(data)
            heard += data
            meanwhile()
            if BOOT_DONE in heard:
                return
            if _PROMPT in heard:
                raise BoardError(
                    f"the boot ended without '{BOOT_DONE.decode()}': {_last_lines(heard)}",
                    cure="the MCC's last lines say what it did not accept on the card",
                )
        raise BoardError(
            f"the boot did not end within {timeout:.0f} s; the MCC's last lines: "
            f"{_last_lines(heard)}",
            cure="switch the board off and on, and check that it boots without the bench",
        )

    def await_prompt(self, timeout: float) -> None:
        """Read, without typing, until a prompt comes by itself, as at the end of any boot."""
        if _PROMPT not in self._listen(_PROMPT, timeout):
            raise BoardError(f"the MCC gave no prompt within {timeout:.0f} s after power-on")

    def poll(self) -> None:
        """Read what is there, for the log."""
        self._log.mcc(self._line.read(0))

    def close(self) -> None:
        """Close the line."""
        self._line.close()

    def _type(self, data: bytes) -> None:
        for index in range(len(data)):
            time.sleep(self._timings.character)
            self._line.write(data[index : index + 1])

    def _listen(self, wanted: bytes, timeout: float) -> bytes:
        heard = b""
        end = time.monotonic() + timeout
        while wanted not in heard and time.monotonic() < end:
            data = self._line.read(_SLICE)
            self._log.mcc(data)
            heard += data
        return heard

    def _drain(self) -> None:
        quiet_since = time.monotonic()
        end = quiet_since + self._timings.prompt
        while time.monotonic() < min(quiet_since + _QUIET, end):
            data = self._line.read(_SLICE)
            self._log.mcc(data)
            if data:
                quiet_since = time.monotonic()


def _last_lines(heard: bytes) -> str:
    lines = [line.strip() for line in heard.decode("utf-8", "replace").splitlines()]
    return " | ".join([line for line in lines if line][-_SHOWN_LINES:]) or "(none)"
