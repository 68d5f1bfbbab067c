"""One lock per key: who may build, move aside or remove an entry.

The lock is `flock` on `locks/<digest>.lock`. It belongs to the process (more precisely, to the open
file), so the kernel releases it however the process ends. Children do not keep it: the descriptor
closes on exec, and `filelock` closes it in a child that Python forks.

**Lock files are never deleted.** If one were unlinked while a second process has it open and waits,
that process would hold the lock of a file that nobody else can see, while a third creates and locks
a new file with the same name: two holders. To avoid this race, an empty file stays for each key
ever built (one inode, no blocks).

Waiting polls (`flock` without blocking, twenty times per second), so Ctrl-C ends it at once. There
is no queue: the next process that asks after the release gets the lock.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from bench.cache.durable import make_directory, remove_tree
from bench.cache.faults import cache_error, reporting
from bench.cache.layout import Layout
from bench.cache.plain_files import NotPlainError, open_plain
from bench.core.errors import CacheError
from bench.core.logging import logger

__all__ = ["Holder", "KeyLocks", "LockError", "LockInfo", "OnWait"]

_LOG = logger(__name__)

_POLL_SECONDS = 0.05
#: More bytes than any note has.
_NOTE_BYTES = 4096


class LockError(CacheError):
    """A lock can neither be taken nor waited for."""


class Holder(BaseModel):
    """Who holds a lock, as written by the holder itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pid: int
    #: The operating system's id of the thread.
    thread: int
    host: str
    #: Since when (UTC).
    since: AwareDatetime

    @classmethod
    def here_and_now(cls) -> Holder:
        """The calling thread."""
        return cls(
            pid=os.getpid(),
            thread=threading.get_native_id(),
            host=platform.node(),
            since=datetime.now(timezone.utc),
        )

    def is_this_thread(self) -> bool:
        """Whether the calling thread is the holder."""
        here = Holder.here_and_now()
        return (self.pid, self.thread, self.host) == (here.pid, here.thread, here.host)


@dataclass(frozen=True)
class LockInfo:
    """What a waiting process knows about the lock it waits for."""

    digest: str
    lock_file: Path
    #: Seconds waited so far.
    waited: float
    #: None if the holder has not (or not yet) said who it is.
    holder: Holder | None

    def __str__(self) -> str:
        who = (
            "an unknown process"
            if self.holder is None
            else f"process {self.holder.pid} on {self.holder.host}"
            f" since {self.holder.since:%Y-%m-%d %H:%M:%S} UTC"
        )
        return f"waiting {self.waited:.0f} s for {self.digest[:12]}, held by {who}"


OnWait = Callable[[LockInfo], None]


def _no_flock(path: Path) -> LockError:
    return LockError(
        f"cache: cannot lock: {path}: its file system gives no flock locks",
        cure="set BENCH_CACHE to a directory on a local disk",
    )


def _acquire(path: Path, timeout: float) -> FileLock | None:
    """The lock, or None if it is still held elsewhere after `timeout` seconds.

    Raises `LockError` if the file system cannot lock. `filelock` would then fall back to a marker
    file, which a killed process leaves behind forever; that is refused here.
    """
    lock = FileLock(path)
    try:
        make_directory(path.parent)
        lock.acquire(timeout=timeout, poll_interval=_POLL_SECONDS)
    except Timeout:  # also an OSError, so it comes first
        return None
    except NotImplementedError as error:
        raise _no_flock(path) from error
    except OSError as error:
        failure = cache_error("lock", path, error)
        raise LockError(failure.what, cure=failure.cure) from error
    if isinstance(lock, SoftFileLock):
        lock.release(force=True)
        raise _no_flock(path)
    return lock


@dataclass(frozen=True)
class KeyLocks:
    """The locks of one cache."""

    layout: Layout
    #: Seconds between two reports to `on_wait`.
    report_every: float

    @contextmanager
    def hold(self, digest: str, on_wait: OnWait | None) -> Iterator[None]:
        """Hold the key's lock during the block, waiting for it as long as necessary.

        Every `report_every` seconds of waiting, `on_wait` gets who holds it; what it raises ends
        the wait. Raises `CacheError` if locking fails, or if this thread is the holder (a build
        that asks for its own product would wait forever).
        """
        path = self.layout.lock(digest)
        began = time.monotonic()
        while (lock := _acquire(path, self.report_every)) is None:
            holder = self._read_holder(digest)
            if holder is not None and holder.is_this_thread():
                raise CacheError(
                    f"cache: the build of {digest} asks for its own product",
                    cure="break the circle: no product can be among its own inputs",
                )
            info = LockInfo(digest, path, time.monotonic() - began, holder)
            _LOG.info("cache: %s", info)
            if on_wait is not None:
                on_wait(info)
        side = self.layout.holder(digest)
        try:
            with reporting("note who holds the lock", side):
                # First remove a killed holder's note, or whatever else has its name.
                remove_tree(side)
                side.write_bytes(Holder.here_and_now().model_dump_json().encode())
            yield
        finally:
            # Still under the lock, so that the next holder's note is not removed.
            try:
                with reporting("remove the note of who held the lock", side):
                    side.unlink(missing_ok=True)
            finally:
                lock.release()

    @contextmanager
    def try_hold(self, digest: str) -> Iterator[bool]:
        """Hold the key's lock during the block if nobody else has it; yields whether it is held."""
        lock = _acquire(self.layout.lock(digest), 0)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.release()

    def _read_holder(self, digest: str) -> Holder | None:
        # The note may be missing or incomplete, because nobody waits for its writer.
        try:
            with open_plain(self.layout.holder(digest)) as stream:
                return Holder.model_validate_json(stream.read(_NOTE_BYTES))
        except (FileNotFoundError, NotPlainError, ValidationError):
            return None
