"""Switching the board by a command of the user's."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

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
            done = subprocess.run(
                self._command, capture_output=True, text=True, timeout=_TIMEOUT, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BoardError(
                f"the power command {' '.join(self._command)} failed: {error}",
                cure="correct targets.mps3.power_command",
            ) from error
        if done.returncode:
            raise BoardError(
                f"the power command {' '.join(self._command)} failed with status "
                f"{done.returncode}: {(done.stderr or done.stdout).strip()}",
                cure="correct targets.mps3.power_command",
            )
