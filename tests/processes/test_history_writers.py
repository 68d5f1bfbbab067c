"""Several processes write one history, are killed meanwhile, and find no room: nothing is lost."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from bench.history.database import HistoryError, writing
from bench.history.series import Selection
from bench.history.store import HistoryStore
from bench.plan.metrics import MetricName
from tests.support.bench_runs import ROOT
from tests.support.history import run_rows
from tests.support.records import dense_layer_record

#: Appends runs of `cells` cells, from `first` on, and tells of each that is in the store.
WRITER = """
import sys
from pathlib import Path
from bench.history.store import HistoryStore
from tests.support.history import run_rows
from tests.support.records import dense_layer_record

path, host, first, count, cells = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
records = [dense_layer_record(f"v{i}") for i in range(cells)]
runs = [run_rows(number, records, host=host) for number in range(first, first + count)]
print("ready", flush=True)
sys.stdin.readline()
for run in runs:
    HistoryStore(Path(path)).append(run)
    print(run.run.name, flush=True)
"""


def writer(
    path: Path, host: str, first: int, count: int, cells: int = 1, before: str = ""
) -> subprocess.Popen[str]:
    """A process that waits for a line before it writes."""
    process = subprocess.Popen(
        [sys.executable, "-c", before + WRITER, str(path), host, *map(str, (first, count, cells))],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def begin(processes: Sequence[subprocess.Popen[str]]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def check(path: Path, cells: int) -> int:
    """Assert that the store is sound and holds whole runs; return how many."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        counts = connection.execute(
            "SELECT runs.id, count(*) FROM runs JOIN cells ON cells.run = runs.id "
            "JOIN figures ON figures.cell = cells.id GROUP BY runs.id"
        ).fetchall()
        (runs,) = connection.execute("SELECT count(*) FROM runs").fetchone()
    assert [n for _, n in counts] == [cells * len(MetricName)] * runs
    return int(runs)


def test_two_processes_add_200_runs_each_at_once(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    processes = [writer(path, host, 0, 200) for host in ("left", "right")]
    begin(processes)
    for process in processes:
        output, errors = process.communicate(timeout=300)
        assert (process.returncode, len(output.splitlines())) == (0, 200), errors
    assert check(path, cells=1) == 400
    hosts = [run.host for run in HistoryStore(path).runs(Selection())]
    assert (hosts.count("left"), hosts.count("right")) == (200, 200)


@pytest.mark.slow
def test_many_processes_make_the_same_store_at_once(tmp_path: Path) -> None:
    for attempt in range(3):
        path = tmp_path / f"{attempt}.sqlite"
        processes = [writer(path, f"h{i}", 0, 1) for i in range(6)]
        begin(processes)
        for process in processes:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
        assert check(path, cells=1) == 6


def test_a_writer_that_is_killed_leaves_whole_runs_and_the_next_can_write(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    records = [dense_layer_record(f"v{i}") for i in range(25)]
    random_ = random.Random(3)
    told, unfinished = 0, 0
    for attempt in range(8):
        process = writer(path, "h", 1000 * attempt, 60, cells=25)
        begin([process])
        assert process.stdout is not None
        for _ in range(random_.randrange(4)):
            told += bool(process.stdout.readline())
        time.sleep(random_.random() * 0.05)
        process.kill()
        told += len(process.communicate()[0].splitlines())
        unfinished += path.with_name("history.sqlite-wal").exists()
        runs = check(path, cells=25) if path.exists() and path.stat().st_size else 0
        # What it told of is there, and at most what it was doing besides.
        assert told <= runs <= told + 1
        HistoryStore(path).append(run_rows(500 + attempt, records))
        told = check(path, cells=25)
        assert told == runs + 1
    assert unfinished, "no writer was killed while it wrote; the test shows nothing"


def test_a_full_disk_is_told_and_costs_only_the_run_that_did_not_fit(tmp_path: Path) -> None:
    """The kernel refuses to let any file of the writer grow beyond 300 KB."""
    path = tmp_path / "history.sqlite"
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
    process = writer(path, "h", 0, 200, cells=10, before=limit)
    begin([process])
    output, errors = process.communicate(timeout=120)
    written = len(output.splitlines())
    assert process.returncode == 1
    assert 0 < written < 200
    last = errors[errors.index("HistoryError: ") :]
    assert f"HistoryError: {path}: " in last
    assert "full" in last or "I/O" in last
    assert "-> make room or give access there" in last
    assert check(path, cells=10) == written
    HistoryStore(path).append(run_rows(999, [dense_layer_record(f"v{i}") for i in range(10)]))
    assert check(path, cells=10) == written + 1


@pytest.mark.parametrize("path", ["/proc/history.sqlite", "/proc/none/history.sqlite"])
def test_a_place_where_nobody_may_write_is_told(path: str) -> None:
    with pytest.raises(HistoryError, match=path.replace(".", r"\.")) as caught:
        HistoryStore(Path(path)).append(run_rows(1))
    assert "give access there" in caught.value.cure


READER = """
import os
import sys
from pathlib import Path
from bench.history.series import Selection
from bench.history.store import HistoryStore
os.setuid(65534)
assert not os.access(Path(sys.argv[1]).parent, os.W_OK)
print(len(HistoryStore(Path(sys.argv[1])).runs(Selection())))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
def test_a_history_that_belongs_to_somebody_else_is_read(tmp_path: Path) -> None:
    """Like the artefacts of a CI job, in a directory that the reader cannot write."""
    directory = tmp_path / "results"
    path = directory / "history.sqlite"
    for number in range(3):
        HistoryStore(path).append(run_rows(number))
    for part in (directory, *directory.parents):
        if part.is_relative_to("/tmp") and part != Path("/tmp"):
            part.chmod(0o755)
    # What the reader needs is loaded before it loses its rights: it may not look into a home.
    done = subprocess.run(
        [sys.executable, "-c", READER, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr


IMPATIENT = "import bench.history.database as d; d._PATIENCE_S = 0.3\n"


def test_who_waits_too_long_for_another_writer_is_told(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    HistoryStore(path).append(run_rows(1))
    process = writer(path, "h", 5, 1, before=IMPATIENT)
    with writing(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        # Readers do not wait.
        assert len(HistoryStore(path).runs(Selection())) == 1
        begin([process])
        _, errors = process.communicate(timeout=60)
        connection.execute("ROLLBACK")
    assert process.returncode == 1
    assert "other processes have been writing it for more than 0.3 s" in errors
