"""One process at a time uses a board: a lease with owner, heartbeat and expiry.

The lease is `flock` on a file of the machine, so the kernel releases it however its owner ends: a
cancelled or killed run leaves none behind. Next to it, the owner writes who it is and, every few
seconds, that it lives. An owner that is stopped or hangs no longer does so. After `EXPIRY`, another
process takes the lease by giving the file's name to a new file. The old owner checks the name
before everything it does to the board (`Lease.require`), and stops.
"""

from __future__ import annotations

import fcntl
import os
import platform
import stat
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from bench.core.files import write_atomically
from targets.mps3.errors import BoardUnavailableError

__all__ = ["EXPIRY", "HEARTBEAT", "Lease", "LeaseOwner", "acquire", "default_directory", "owner_of"]

#: Seconds between two signs of life, and seconds without one after which the lease is taken.
HEARTBEAT = 5.0
EXPIRY = 60.0
_POLL = 0.2
#: Seconds between two reports to a waiting process.
_REPORT = 30.0


class LeaseOwner(BaseModel):
    """The owner of a board, as it describes itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pid: int
    host: str
    since: AwareDatetime
    heartbeat: AwareDatetime
    purpose: str

    def __str__(self) -> str:
        return (
            f"process {self.pid} on {self.host} since {self.since:%Y-%m-%d %H:%M:%S} UTC, last "
            f"sign of life {self.silent_for:.0f} s ago ({self.purpose})"
        )

    @property
    def silent_for(self) -> float:
        """Seconds since the last sign of life."""
        return (datetime.now(timezone.utc) - self.heartbeat).total_seconds()


def default_directory() -> Path:
    """The directory on this machine for the leases of all users."""
    # Not $TMPDIR, which may belong to one user or one job.
    return Path("/tmp") / "ethos-u55-bench-boards"


class Lease:
    """A board that is ours. `acquire` makes it; `release` ends it."""

    def __init__(self, path: Path, descriptor: int, purpose: str) -> None:
        self._path = path
        self._descriptor = descriptor
        now = datetime.now(timezone.utc)
        self._owner = LeaseOwner(
            pid=os.getpid(), host=platform.node(), since=now, heartbeat=now, purpose=purpose
        )
        self._stop = threading.Event()
        self._say()
        self._thread = threading.Thread(target=self._beat, name="board-lease", daemon=True)
        self._thread.start()

    @property
    def held(self) -> bool:
        """Whether it still is ours."""
        return _is_current(self._path, self._descriptor)

    def require(self) -> None:
        """Raise `BoardUnavailableError` when it was taken from us."""
        if not self.held:
            raise BoardUnavailableError(
                f"the lease {self._path} was taken away: this process gave no sign of life for "
                f"{EXPIRY:.0f} s (was it stopped?)",
                cure="run again",
            )

    def release(self) -> None:
        """Release it. May be called twice."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        if self.held:
            _note(self._path).unlink(missing_ok=True)
        os.close(self._descriptor)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            if self.held:
                self._say()

    def _say(self) -> None:
        now = datetime.now(timezone.utc)
        owner = self._owner.model_copy(update={"heartbeat": now})
        write_atomically(_note(self._path), owner.model_dump_json())


def acquire(
    directory: Path,
    key: str,
    *,
    purpose: str,
    wait: float,
    on_wait: Callable[[str], None],
    expiry: float = EXPIRY,
) -> Lease:
    """The lease of board `key`, after waiting up to `wait` seconds for its owner.

    Raises `BoardUnavailableError`, which names the owner, when that is not long enough, or when
    `directory` cannot be used.
    """
    path = directory / f"{key}.lease"
    began = time.monotonic()
    next_report = began + 1.0
    try:
        _make_shared(directory)
        while True:
            descriptor = _try_lock(path)
            if descriptor is not None:
                return Lease(path, descriptor, purpose)
            owner = owner_of(directory, key)
            now = time.monotonic()
            if owner is not None and owner.silent_for > expiry:
                on_wait(f"taking the board {key} from {owner}")
                _break(path, expiry)
                continue
            if now - began >= wait:
                raise BoardUnavailableError(
                    f"the board {key} is in use by {owner or 'an unknown process'}; "
                    f"waited {now - began:.0f} s",
                    cure="wait for it, or raise targets.mps3.lease_wait_minutes",
                )
            if now >= next_report:
                on_wait(f"waiting for the board {key}, in use by {owner or 'somebody'}")
                next_report = now + _REPORT
            time.sleep(_POLL)
    except OSError as error:
        raise BoardUnavailableError(
            f"no lease can be kept in {directory}: {error}",
            cure="set targets.mps3.state_directory to a local directory to which all users of the "
            "board may write",
        ) from error


def owner_of(directory: Path, key: str) -> LeaseOwner | None:
    """Who has the board now, if known; None if nobody has it."""
    path = directory / f"{key}.lease"
    if not path.exists():
        return None
    descriptor = _try_lock(path)
    if descriptor is not None:
        os.close(descriptor)
        return None
    try:
        return LeaseOwner.model_validate_json(_note(path).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _note(path: Path) -> Path:
    return path.with_suffix(".owner")


def _try_lock(path: Path) -> int | None:
    """An open file with its lock, or None if somebody else has it."""
    descriptor = _open_shared(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    if _is_current(path, descriptor):
        return descriptor
    # The name was given to another file between opening and locking.
    os.close(descriptor)
    return None


def _is_current(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _break(path: Path, expiry: float) -> None:
    """Take the name from a lease whose owner is silent; only one process at a time does so."""
    descriptor = _open_shared(path.with_suffix(".breaking"))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        owner = owner_of(path.parent, path.stem)
        if owner is not None and owner.silent_for > expiry:
            _note(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _make_shared(directory: Path) -> None:
    if not directory.is_dir():
        directory.mkdir(parents=True, exist_ok=True)
        # For all users, like the system's temporary directory.
        directory.chmod(stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)


def _open_shared(path: Path) -> int:
    # Without O_CREAT first: in shared directories Linux refuses it for files of other users.
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT, 0o666)
        if os.fstat(descriptor).st_uid == os.getuid():
            os.fchmod(descriptor, 0o666)
        return descriptor
