"""The manifest of an entry: what it is, what made it, and the files it consists of.

A manifest holds the sha256 of the files, and its own: on disk it is
`{"manifest": {...}, "sha256": ...}`, so one changed byte anywhere in it is noticed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    ValidationError,
)

from bench.cache.key import CacheKey
from bench.cache.plain_files import hash_stream, open_plain, walk
from bench.core.errors import CacheError

__all__ = ["MANIFEST_BYTES", "FileRecord", "Manifest", "parse_manifest", "record_files"]

#: No manifest is larger (it would list about 400,000 files), so no more than this is ever read.
MANIFEST_BYTES: Final = 1 << 26
_Sha256 = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]


def _inside(path: str) -> str:
    if "/" not in path and path not in ("", ".", ".."):
        return path
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or str(pure) != path:
        raise ValueError(f"{path!r} does not stay inside the entry")
    return path


class FileRecord(BaseModel):
    """One file of an entry: POSIX path relative to `files/`, size in bytes, sha256."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    path: Annotated[str, AfterValidator(_inside)]
    size: NonNegativeInt
    sha256: _Sha256


class Manifest(BaseModel):
    """Everything known about an entry. `parameters` are plain text, for people and `grep`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format_version: Literal[2]
    kind: str
    digest: _Sha256
    parameters: dict[str, Any]
    files: tuple[FileRecord, ...]
    #: When the build finished (UTC), who made it, and how long the build took in seconds.
    created: AwareDatetime
    pid: int
    host: str
    build_seconds: NonNegativeFloat

    @property
    def key(self) -> CacheKey:
        """The key that this manifest claims. Raises `CacheError` if it cannot be one."""
        return CacheKey(self.kind, self.parameters)

    @property
    def size(self) -> int:
        """Bytes of all the product's files."""
        return sum(record.size for record in self.files)

    def to_json(self) -> bytes:
        """The file's content: the manifest and its sha256 as indented JSON, one newline at the end.

        The same manifest always gives the same bytes.
        """
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()
        return (_Sealed(manifest=self, sha256=digest).model_dump_json(indent=1) + "\n").encode()


class _Sealed(BaseModel):
    """A manifest as it is on the disk."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    manifest: Manifest
    sha256: _Sha256


def parse_manifest(content: bytes) -> Manifest:
    """Read a manifest. Raises `ValueError`, which says what is wrong with it.

    It refuses what is not, to the byte, what `to_json` writes, and a manifest whose parameters do
    not hash to its digest, because somebody has edited it.
    """
    try:
        manifest = _Sealed.model_validate_json(content).manifest
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the manifest"
        raise ValueError(f"{where}: {first['msg']}") from error
    if manifest.to_json() != content:
        raise ValueError("it was changed: its sha256 does not match")
    try:
        claimed = manifest.key
    except CacheError as error:
        raise ValueError(error.what) from error
    if claimed.digest != manifest.digest:
        raise ValueError("its parameters do not hash to its digest")
    return manifest


def _record(path: Path, name: str) -> FileRecord:
    """Hash and flush one finished file, reading it once."""
    with open_plain(path) as stream:
        digest, size = hash_stream(stream)
        os.fsync(stream.fileno())
    return FileRecord(path=name, size=size, sha256=digest)


def record_files(files: Path, what: str) -> tuple[tuple[FileRecord, ...], tuple[Path, ...]]:
    """Hash and flush all files below `files`; return their records and the directories.

    `what` names the product in errors. The caller must flush the directories (including `files`),
    deepest first. Raises `CacheError` if the build left nothing, or something that a cache cannot
    hold: a link would break or change with its target. Raises `OSError` if reading fails.
    """
    records: list[FileRecord] = []
    directories = [files]
    for path in walk(files):
        name = path.relative_to(files).as_posix()
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            directories.append(path)
            continue
        if not stat.S_ISREG(mode):
            raise CacheError(
                f"cache: the build of {what} left {name!r}, which is neither file nor directory",
                cure="let the build write plain files, and copies instead of links",
            )
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            raise CacheError(
                f"cache: the build of {what} left a file whose name is not UTF-8: {name!r}",
                cure="let the build use plain file names",
            )
        records.append(_record(path, name))
    if not records:
        raise CacheError(
            f"cache: the build of {what} left no file", cure="let the build write its product there"
        )
    return tuple(records), tuple(reversed(directories))
