"""A bench's use of a board that dies of SIGKILL at a given step.

`python -m tests.support.boards.dying_bench`; arguments: the board's settings as JSON, a pickled
job, a log directory, the step (-1: none). A step is an operation on the card, a character typed, or
a piece of what UART0 says. Prints the number of steps it took.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from pathlib import Path

from targets.mps3.errors import BoardError
from targets.mps3.local_ports import LocalPorts
from targets.mps3.ports import BoardPorts, Line, Volume
from targets.mps3.target import Mps3Target
from targets.settings.mps3 import Mps3Settings
from tests.support.boards.volumes import Interrupted

STEPS = 0


def step(last: int) -> None:
    global STEPS
    if last == STEPS:
        os.kill(os.getpid(), signal.SIGKILL)
    STEPS += 1


class KillingLine:
    """A line on which writing, or reading something, is a step."""

    def __init__(self, line: Line, last: int, *, reading: bool) -> None:
        self._line = line
        self._last = last
        self._reading = reading

    def read(self, timeout: float) -> bytes:
        data = self._line.read(timeout)
        if data and self._reading:
            step(self._last)
        return data

    def write(self, data: bytes) -> None:
        step(self._last)
        self._line.write(data)

    def close(self) -> None:
        self._line.close()


class KillingPorts(LocalPorts):
    """A board's ports, on which the process dies."""

    def __init__(self, settings: Mps3Settings, last: int) -> None:
        super().__init__(settings)
        self._last = last
        self._place = settings.volume

    def open_console(self) -> Line:
        return KillingLine(super().open_console(), self._last, reading=False)

    def open_uart(self) -> Line:
        return KillingLine(super().open_uart(), self._last, reading=True)

    def volume(self) -> Volume:
        if self._place is None:
            raise BoardError("no volume")
        return Interrupted(self._place, lambda number, what: step(self._last))


def main() -> int:
    text, job, logs, last = sys.argv[1:]
    settings = Mps3Settings.model_validate_json(text)

    def ports(wanted: Mps3Settings) -> BoardPorts:
        return KillingPorts(wanted, int(last))

    target = Mps3Target(settings, Path(logs), ports)
    measurement = target.run(pickle.loads(Path(job).read_bytes()))
    print(STEPS, dict(measurement.counters))
    return 0


if __name__ == "__main__":
    sys.exit(main())
