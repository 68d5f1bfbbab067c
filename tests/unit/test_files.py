"""Files a user named: what is read, what is replaced, what `~` is."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from bench.core.errors import ConfigError
from bench.core.files import expanded, read_regular, write_atomically


def test_a_file_is_replaced_whole_and_nothing_is_left_beside(tmp_path: Path) -> None:
    path = tmp_path / "Größe.json"
    write_atomically(path, "ä")
    write_atomically(path, b"\xff")
    assert path.read_bytes() == b"\xff"
    assert list(tmp_path.iterdir()) == [path]


def test_only_a_file_is_replaced(tmp_path: Path) -> None:
    pipe, directory, place = tmp_path / "pipe", tmp_path / "directory", tmp_path / "socket"
    os.mkfifo(pipe)
    directory.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        for path in (pipe, directory, place):
            kind = stat.S_IFMT(path.stat().st_mode)
            with pytest.raises(OSError, match="not a regular file"):
                write_atomically(path, "x")
            assert stat.S_IFMT(path.stat().st_mode) == kind
    assert sorted(tmp_path.iterdir()) == sorted([pipe, directory, place])


def test_reading_waits_for_no_pipe_and_ends_at_its_bound(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            read_regular(path, 100)
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100)
    link = tmp_path / "link"
    link.symlink_to(file)
    assert read_regular(link, 100) == b"x" * 100
    with pytest.raises(OSError, match="larger than 99 bytes"):
        read_regular(file, 99)


def test_reading_leaves_nothing_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in (tmp_path, Path("/dev/zero"), Path(__file__)):
        with pytest.raises(OSError):  # noqa: PT011 (three of them)
            read_regular(path, 1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_home_is_found_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert expanded(Path("~/x")) == Path("/home/somebody/x")
    assert expanded(Path("x/~")) == Path("x/~")
    with pytest.raises(ConfigError, match="no home directory is known for '~no_such_user_here'"):
        expanded(Path("~no_such_user_here/x"))


def test_a_name_the_locale_cannot_express_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fsencode(path: Path) -> bytes:
        return str(path).encode("ascii", "surrogateescape")

    monkeypatch.setattr(os, "fsencode", fsencode)
    with pytest.raises(ConfigError, match=r"Größe: file names are ascii .* has no 'ö'") as caught:
        expanded(Path("Größe"))
    assert "LC_ALL" in caught.value.cure
