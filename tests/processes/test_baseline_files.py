"""Files of accepted figures and several processes that write them."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.baselines.accepted import Baselines
from bench.baselines.files import update_files
from bench.baselines.text import render
from bench.records.record import Record
from tests.support.baselines import accepted
from tests.support.records import dense_layer_record


@pytest.fixture(scope="module")
def record() -> Record:
    return dense_layer_record("base")


def write(directory: Path, baselines: Baselines) -> tuple[Path, ...]:
    return update_files(directory, [("sim", "w")], lambda name, before: baselines)


def test_a_second_process_waits(tmp_path: Path, record: Record) -> None:
    """It reads what the first wrote, so neither loses what the other accepted."""
    code = (
        "import fcntl, os, sys, time\n"
        "d = os.open(sys.argv[1], os.O_RDONLY); fcntl.flock(d, fcntl.LOCK_EX)\n"
        "print('held', flush=True); time.sleep(1)\n"
        "os.makedirs(sys.argv[1] + '/sim', exist_ok=True)\n"
        "open(sys.argv[1] + '/sim/w.toml', 'w').write(sys.argv[2])\n"
    )
    text = render(accepted(record).cells, {})
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), text], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        seen: list[Baselines] = []

        def change(name: tuple[str, str], before: Baselines) -> Baselines:
            seen.append(before)
            return before

        update_files(tmp_path, [("sim", "w")], change)
    assert seen[0].cells == accepted(record).cells


def test_the_lock_ends_with_its_process(tmp_path: Path, record: Record) -> None:
    code = (
        "import fcntl, os, signal, sys\n"
        "d = os.open(sys.argv[1], os.O_RDONLY); fcntl.flock(d, fcntl.LOCK_EX)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    write(tmp_path, accepted(record))
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
