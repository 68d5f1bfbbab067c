"""Switching the board with a command of the user's."""

from __future__ import annotations

from collections.abc import Sequence

from bench.core.processes import Bounds, TimedOutError, run_to_end
from targets.mps3.errors import BoardError

__all__ = ["CommandPower"]

_TIMEOUT = 60


class CommandPower:
    """The port `Power` for a command such as `uhubctl -l 1-1 -p 2 -a cycle`."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)

    def cycle(self) -> None:
        """Run the command. Raises `BoardError` when it fails or takes over a minute."""
        try:
            done = run_to_end(self._command, Bounds(_TIMEOUT))
        except OSError as error:
            raise self._failure(f"cannot be started: {error.strerror or error}") from error
        except TimedOutError as error:
            raise self._failure(f"did not end within {_TIMEOUT} s") from error
        if done.status:
            said = (done.errors or done.output).strip()
            raise self._failure(f"failed with status {done.status}: {said}")

    def _failure(self, what: str) -> BoardError:
        return BoardError(
            f"the power command {' '.join(self._command)} {what}",
            cure="correct targets.mps3.power_command",
        )
