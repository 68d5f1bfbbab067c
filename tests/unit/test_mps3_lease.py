"""Leases on a board: one owner, none left behind, and none kept by a process that hangs."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from targets.mps3 import lease as lease_module
from targets.mps3.errors import BoardUnavailableError
from targets.mps3.lease import Lease, acquire, owner_of


def take(directory: Path, wait: float = 0, expiry: float = 60) -> Lease:
    return acquire(
        directory, "board", purpose="test", wait=wait, on_wait=lambda text: None, expiry=expiry
    )


def test_a_board_has_one_owner_who_is_named(tmp_path: Path) -> None:
    mine = take(tmp_path)
    owner = owner_of(tmp_path, "board")
    assert owner is not None
    assert owner.pid == os.getpid()
    with pytest.raises(BoardUnavailableError, match=f"in use by process {os.getpid()} on"):
        take(tmp_path)
    mine.release()
    assert owner_of(tmp_path, "board") is None
    take(tmp_path).release()


def test_another_board_is_another_lease(tmp_path: Path) -> None:
    mine = take(tmp_path)
    other = acquire(tmp_path, "other", purpose="test", wait=0, on_wait=print)
    assert mine.held
    assert other.held
    other.release()
    assert owner_of(tmp_path, "other") is None
    assert owner_of(tmp_path, "board") is not None
    mine.release()


def test_a_lease_that_was_taken_away_is_not_used(tmp_path: Path) -> None:
    mine = take(tmp_path)
    (tmp_path / "board.lease").unlink()
    with pytest.raises(BoardUnavailableError, match="was taken away"):
        mine.require()
    theirs = take(tmp_path)
    mine.release()
    assert owner_of(tmp_path, "board") is not None, "the new owner's note is not removed"
    theirs.release()


def test_the_owner_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "HEARTBEAT", 0.05)
    mine = take(tmp_path)
    time.sleep(0.5)
    owner = owner_of(tmp_path, "board")
    assert owner is not None
    assert owner.heartbeat > owner.since
    mine.release()


def test_of_many_that_want_it_each_gets_it_once(tmp_path: Path) -> None:
    inside: list[int] = []
    most = []

    def work(number: int) -> None:
        mine = take(tmp_path, wait=60)
        inside.append(number)
        most.append(len(inside))
        time.sleep(0.01)
        inside.remove(number)
        mine.release()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert most == [1] * 8


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(BoardUnavailableError, match="no lease can be kept in"):
        take(tmp_path / "file")
