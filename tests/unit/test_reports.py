"""Progress, run directories, tables and the merged JUnit, from real records."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import BenchError
from bench.core.files import write_atomically
from bench.measuring.progress import Follower, ProgressEvent, Task, append_to
from bench.pytest_plugin.terminal import ProgressLines
from bench.report.published import published_rows
from targets.ethos_u55.accelerators import Accelerator


def event(kind: str = "train", state: str = "update", pid: int = 1) -> ProgressEvent:
    return ProgressEvent(kind, "task", state, "text", 1.0, pid)  # type: ignore[arg-type]


def test_many_writers_lose_no_progress(tmp_path: Path) -> None:
    sink = append_to(tmp_path / "progress.jsonl")
    follower = Follower(tmp_path / "progress.jsonl")

    def write(pid: int) -> None:
        for _ in range(50):
            sink(event(pid=pid))

    threads = [threading.Thread(target=write, args=(pid,)) for pid in range(8)]
    for thread in threads:
        thread.start()
    seen = []
    while any(thread.is_alive() for thread in threads):
        seen += follower.new_events()
    seen += follower.new_events()
    assert len(seen) == 8 * 50


@given(cut=st.integers(1, 200))
def test_a_line_that_is_being_written_waits(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("follow") / "progress.jsonl"
    append_to(path)(event())
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    follower = Follower(path)
    early = follower.new_events()
    path.write_bytes(whole)
    assert len(early) + len(follower.new_events()) == 1


def test_a_failed_task_says_so(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    with pytest.raises(BenchError), Task.running("train", "x", append_to(path)):
        raise BenchError("no")
    assert [e.state for e in Follower(path).new_events()] == ["started", "failed"]


def test_progress_lines_name_what_is_under_way_and_forget_what_is_done() -> None:
    lines = ProgressLines(now=0.0)
    assert lines.take([event(state="started")], now=1.0) == []
    assert "train task" in lines.take([], now=10.0)[0]
    done = lines.take([event(state="done")], now=11.0)
    assert done == ["train task done (1.0 s)"]
    assert lines.take([], now=30.0) == []


def test_a_note_is_told_at_once_and_is_no_work() -> None:
    lines = ProgressLines(now=0.0)
    note = ProgressEvent("note", "", "update", "cache: damaged entry", 0.0, 1)
    assert lines.take([note], now=1.0) == ["cache: damaged entry"]
    assert lines.take([], now=30.0) == []


def test_a_wait_ends_when_the_process_does_something_else() -> None:
    lines = ProgressLines(now=0.0)
    assert "wait task" in lines.take([event("wait")], now=10.0)[0]
    assert "wait" not in " ".join(lines.take([event("compile", "started")], now=20.0))


def test_atomic_writing_leaves_the_old_content_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    with pytest.raises(TypeError):
        write_atomically(path, 5)  # type: ignore[arg-type]
    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_published_rows_are_complete() -> None:
    rows = published_rows()
    arm = [row for row in rows if row.workload == "mnist_fc"]
    assert {row.variant for row in arm} == {"base", "pruned", "clustered", "pruned_clustered"}
    assert {row.npu_active_cycles for row in arm} == {91_000, 33_000, 56_000, 26_000}
    assert all(row.source and row.measured_on for row in rows)
    kws = [r for r in rows if r.model == "kws_micronet_m" and r.vela == "5.0.0"]
    assert [row.macs for row in kws] == list(Accelerator)
