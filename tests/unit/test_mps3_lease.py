"""Leases on a board: one owner, none left behind, and none kept by a process that hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from targets.mps3 import lease as lease_module
from targets.mps3.errors import BoardUnavailableError
from targets.mps3.lease import Lease, acquire, owner_of
from tests.support.bench_runs import ROOT

#: Takes a lease, says so, and holds it until it is killed.
HOLDER = """
import sys, time
from pathlib import Path
from targets.mps3.lease import acquire
lease = acquire(Path(sys.argv[1]), "board", purpose="a test", wait=10, on_wait=print)
print("held", flush=True)
while True:
    time.sleep(0.05)
    if not lease.held:
        print("lost", flush=True)
        sys.exit(3)
"""


def take(directory: Path, wait: float = 0, expiry: float = 60) -> Lease:
    return acquire(
        directory, "board", purpose="test", wait=wait, on_wait=lambda text: None, expiry=expiry
    )


def hold(directory: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


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
    other.release()
    mine.release()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_owner_leaves_no_lease(tmp_path: Path, number: signal.Signals) -> None:
    holder = hold(tmp_path)
    assert owner_of(tmp_path, "board") is not None
    holder.send_signal(number)
    holder.wait(timeout=10)
    assert owner_of(tmp_path, "board") is None
    take(tmp_path).release()


def test_a_stopped_owner_loses_the_lease_and_learns_of_it(tmp_path: Path) -> None:
    holder = hold(tmp_path)
    try:
        holder.send_signal(signal.SIGSTOP)
        with pytest.raises(BoardUnavailableError, match="last sign of life"):
            take(tmp_path)
        time.sleep(1.1)
        mine = take(tmp_path, wait=5, expiry=1)
        assert mine.held
        holder.send_signal(signal.SIGCONT)
        assert holder.wait(timeout=10) == 3
        assert mine.held
        mine.release()
    finally:
        holder.kill()
        holder.wait()


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
    (tmp_path / "file").write_text("")
    with pytest.raises(BoardUnavailableError, match="no lease can be kept in"):
        take(tmp_path / "file")
