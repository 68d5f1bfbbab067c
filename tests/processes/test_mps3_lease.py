"""Leases on a board whose owner is killed or stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

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
