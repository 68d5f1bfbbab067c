"""A store of products behind an address: HTTP, S3 or whatever else fsspec can reach.

    <address>/v2/manifests/<kind>/<digest[:2]>/<digest>.json   the manifest of a product
    <address>/v2/files/<sha256[:2]>/<sha256>                   the content of a file

Files are named by their content. So two machines may upload the same product at once, even if they
made it differently: each manifest leads to its own files. A manifest is uploaded last, so whoever
finds one finds its files.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bench.cache.key import CacheKey
from bench.cache.layout import FORMAT_VERSION
from bench.cache.manifest import FileRecord
from bench.cache.remote.source import RemoteError, UnreachableError
from bench.core.address import parse_address, shown
from bench.core.errors import ConfigError, PrerequisiteError
from bench.core.text import one_line
from bench.core.units import KIB

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = ["Patience", "RemoteStore", "open_store"]

_T = TypeVar("_T")

#: A manifest of a product of ours has a few KiB; it lists about ten files.
_MANIFEST_BYTES: Final = 4 * KIB * KIB
_PIECE: Final = 256 * KIB
_AHEAD: Final = 4


@dataclass(frozen=True)
class Patience:
    """How long a store may take, in seconds."""

    #: Without a byte.
    stall_s: float = 20
    #: For one file.
    file_s: float = 600


class RemoteStore:
    """A `Source` of products, and where they are uploaded to."""

    def __init__(
        self, files: AbstractFileSystem, place: str, name: str, patience: Patience | None = None
    ) -> None:
        """`place` is the address as `files` wants it; `name` is for people."""
        self._files = files
        self._place = f"{place.rstrip('/')}/v{FORMAT_VERSION}"
        self.name = name
        self._patience = patience or Patience()

    def manifest(self, key: CacheKey) -> bytes | None:
        """See `Source`."""
        content = bytearray()
        try:
            for piece in self._read(self._manifest_at(key)):
                content += piece
                if len(content) > _MANIFEST_BYTES:
                    raise RemoteError(f"{key}: has a manifest of over {_MANIFEST_BYTES:,} bytes")
        except FileNotFoundError:
            return None
        return bytes(content)

    def pieces(self, record: FileRecord) -> Iterator[bytes]:
        """See `Source`."""
        try:
            yield from self._read(self._file_at(record))
        except FileNotFoundError:
            raise RemoteError(f"{record.path!r} ({record.sha256}) is not there") from None

    def has(self, key: CacheKey) -> bool:
        """Whether there is a product of `key`. Raises `UnreachableError`."""
        return self._size(self._manifest_at(key)) is not None

    def upload(self, key: CacheKey, manifest: bytes, files: dict[FileRecord, Path]) -> None:
        """Upload a product, but for files that are there already. Raises `UnreachableError`."""
        for record, path in files.items():
            place = self._file_at(record)
            if self._size(place) != record.size:
                self._ask(partial(self._put, path, place))
        place = self._manifest_at(key)
        self._ask(lambda: self._files.pipe_file(place, manifest))

    def _put(self, path: Path, place: str) -> None:
        # fsspec's default for HTTP, POST, makes no file of that name.
        options = {"method": "put"} if self._is_http else {}
        self._files.put_file(str(path), place, **options)

    @property
    def _is_http(self) -> bool:
        return "http" in self._files.protocol

    def _manifest_at(self, key: CacheKey) -> str:
        return f"{self._place}/manifests/{key.kind}/{key.digest[:2]}/{key.digest}.json"

    def _file_at(self, record: FileRecord) -> str:
        return f"{self._place}/files/{record.sha256[:2]}/{record.sha256}"

    def _size(self, place: str) -> int | None:
        """The bytes of what is there, -1 if the store does not say; None if nothing is."""
        try:
            size = self._ask(lambda: self._files.info(place).get("size"))
        except FileNotFoundError:
            return None
        return -1 if size is None else int(size)

    def _ask(self, request: Callable[[], _T]) -> _T:
        """The answer to one request, in time. Raises `FileNotFoundError`, `UnreachableError`."""

        def work() -> Iterator[_T]:
            yield request()

        return next(self._in_time(work, self._patience.file_s))

    def _read(self, place: str) -> Iterator[bytes]:
        """The content at `place` in pieces, in time. Raises as `_ask` does."""

        def work() -> Iterator[bytes]:
            # Streamed, whatever length the server states: what it sends is counted by the reader.
            options = {"block_size": 0, "size": 1} if self._is_http else {}
            with self._files.open(place, "rb", **options) as stream:
                while piece := stream.read(_PIECE):
                    yield piece

        return self._in_time(work, self._patience.stall_s)

    def _in_time(self, work: Callable[[], Iterator[_T]], stall_s: float) -> Iterator[_T]:
        """What `work` yields in a thread of its own, because no library keeps to a time limit."""
        answers: queue.Queue[tuple[_T] | Exception | None] = queue.Queue(_AHEAD)
        given_up = threading.Event()

        def put(answer: tuple[_T] | Exception | None) -> None:
            while not given_up.is_set():
                with suppress(queue.Full):
                    answers.put(answer, timeout=0.5)
                    return

        def run() -> None:
            try:
                for each in work():
                    put((each,))
                    if given_up.is_set():
                        return
                put(None)
            except Exception as error:
                # The waiting thread raises it again.
                put(error)

        threading.Thread(target=run, name="remote cache", daemon=True).start()
        deadline = time.monotonic() + self._patience.file_s
        try:
            while (answer := _next(answers, min(stall_s, deadline - time.monotonic()))) is not None:
                if isinstance(answer, Exception):
                    raise _told(answer)
                yield answer[0]
        finally:
            given_up.set()


def _next(answers: queue.Queue[_T], seconds: float) -> _T:
    try:
        return answers.get(timeout=max(0.0, seconds))
    except queue.Empty:
        raise UnreachableError("no answer in time") from None


def _told(error: Exception) -> Exception:
    if isinstance(error, FileNotFoundError):
        return error
    status = getattr(error, "status", None)
    # Texts of libraries quote addresses, which may hold secrets.
    text = f"status {status}" if isinstance(status, int) else type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        text = one_line(error.strerror)
    return UnreachableError(text)


def open_store(address: str, patience: Patience | None = None) -> RemoteStore:
    """The store at `address`: `https://host/path`, `s3://bucket/path`, `file:///path`.

    Plain http is allowed from this machine itself only, because a product that others can change on
    its way is not worth its hash. Nothing is connected to yet.

    Raises:
        ConfigError: this is no address of a store.
        PrerequisiteError: what reaches such stores is not installed.
    """
    protocol, found, _ = address.partition("://")
    if not found or not protocol.isalnum():
        raise ConfigError(
            f"remote cache: {shown(address)!r} is not an address",
            cure="write it in full: https://host/path, s3://bucket/path or file:///path",
        )
    options = _http_options(address) if protocol in ("http", "https") else {}
    if protocol == "file":
        options = {"auto_mkdir": True}
    try:
        import fsspec

        files, place = fsspec.core.url_to_fs(address, **options)
    except ImportError as error:
        raise PrerequisiteError(
            f"remote cache: what reaches {protocol}:// is not installed: {error}",
            cure='pip install "ethos-u55-bench[remote]"; for s3:// also: pip install s3fs',
        ) from error
    except ValueError as error:
        raise ConfigError(f"remote cache: {shown(address)}: {one_line(str(error))}") from error
    return RemoteStore(files, place, shown(address), patience)


def _http_options(address: str) -> dict[str, Any]:
    try:
        parsed = parse_address(address)
    except ValueError as error:
        raise ConfigError(f"remote cache: {shown(address)}: {error}") from None
    # Proxies and .netrc are the user's; a proxy does not see this machine itself.
    # A redirect could lead to where the connection can be read and changed.
    return {"client_kwargs": {"trust_env": not parsed.is_loopback}, "allow_redirects": False}
