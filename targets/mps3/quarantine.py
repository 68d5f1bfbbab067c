"""A board that failed twice in a row is left alone, for hours or until somebody intervenes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from pydantic import AwareDatetime, ValidationError

from bench.core.files import write_atomically
from bench.core.schema import StrictModel
from targets.mps3.errors import BoardUnavailableError

__all__ = ["FAILURES", "Quarantine"]

#: After this many failures in a row a board is quarantined.
FAILURES = 2


class _State(StrictModel):
    failures: int
    last: AwareDatetime
    reason: str


class Quarantine:
    """What is remembered about board `key`. Only the owner of its lease changes it."""

    def __init__(self, directory: Path, key: str, hours: float) -> None:
        self._path = directory / f"{key}.quarantine.json"
        self._period = timedelta(hours=hours)

    @property
    def path(self) -> Path:
        """The file to remove so that the board can be used again at once."""
        return self._path

    def require_free(self) -> None:
        """Raise `BoardUnavailableError` with the reason while the board is in quarantine."""
        reason = self.reason()
        if reason is not None:
            raise BoardUnavailableError(
                f"the board is in quarantine: {reason}",
                cure=f"repair it, then remove {self._path} (or wait until the time is over)",
            )

    def reason(self) -> str | None:
        """Why and since when, or None."""
        state = self._read()
        if state is None or state.failures < FAILURES:
            return None
        until = state.last + self._period
        if datetime.now(timezone.utc) >= until:
            return None
        return (
            f"it failed {state.failures} times in a row, last at "
            f"{state.last:%Y-%m-%d %H:%M:%S} UTC; until {until:%Y-%m-%d %H:%M:%S} UTC: "
            f"{state.reason}"
        )

    def failed(self, reason: str) -> int:
        """Note a failure; returns how many there are in a row."""
        before = self._read()
        count = (before.failures if before else 0) + 1
        state = _State(failures=count, last=datetime.now(timezone.utc), reason=reason)
        write_atomically(self._path, state.model_dump_json(indent=1) + "\n")
        return count

    def worked(self) -> None:
        """Forget all failures."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> _State | None:
        try:
            return _State.model_validate_json(self._path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
