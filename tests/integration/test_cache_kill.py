"""SIGKILL at any moment loses what was being done, and nothing else.

The file is its own helper program: `pytest` starts it as a script, and the script forks the
processes it kills. (The test process itself must not fork: under pytest-xdist it has threads.)
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.cache import ArtefactCache, CacheKey, ProblemKind

KEY = CacheKey("variant", {"name": "wanted"})
OTHER = CacheKey("variant", {"name": "other"})
BROKEN = CacheKey("variant", {"name": "broken"})

#: What the interpreter announces before it changes the disk (or takes a lock).
_STEPS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.utime", "fcntl.flock"}


def build(directory: Path) -> None:
    (directory / "deep").mkdir()
    for name in ("first", "deep/second"):
        descriptor = os.open(directory / name, os.O_WRONLY | os.O_CREAT)
        os.write(descriptor, b"half")
        os.write(descriptor, b" and half")
        os.close(descriptor)


def before_each_step(action: Callable[[], None]) -> None:
    """From now on call `action` before every step on the disk. Cannot be undone.

    Flushing counts as a step and is not done: a killed process, unlike a power cut, loses
    nothing from the system's own memory, and flushing is nine tenths of the time.
    """

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        reading = event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if event in _STEPS and not reading:
            action()

    write = os.write

    def counted_write(descriptor: int, content: bytes) -> int:
        action()
        return write(descriptor, content)

    def counted_fsync(descriptor: int) -> None:
        action()

    os.write, os.fsync = counted_write, counted_fsync  # type: ignore[assignment]
    sys.addaudithook(hook)


def forked(body: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            body()
            status = 0
        finally:
            os._exit(status)
    return child


def killed_at_step(number: int, body: Callable[[], object]) -> bool:
    """Run `body` in a process that kills itself before its `number`-th step; whether it did."""

    def run() -> None:
        left = number

        def count() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        before_each_step(count)
        body()

    status = os.waitpid(forked(run), 0)[1]
    if status not in (0, signal.SIGKILL):
        raise SystemExit(f"step {number}: the child failed by itself")
    return status != 0


def is_whole(cache: ArtefactCache, key: CacheKey) -> bool:
    entry = cache.find(key)
    return entry is not None and all(
        entry.file(name).read_bytes() == b"half and half" for name in ("first", "deep/second")
    )


def kinds(cache: ArtefactCache) -> list[str]:
    if not cache.exists():  # killed before the first directory was made
        return []
    return sorted(problem.kind.value for problem in cache.verify())


def old(cache: ArtefactCache, key: CacheKey) -> None:
    entry = cache.get_or_build(key, build)
    then = time.time() - 30 * 86_400
    os.utime(entry.path.parent / "manifest.json", (then, then))


def prepare_nothing(cache: ArtefactCache) -> None:
    cache.root.mkdir(parents=True)


def prepare_damage(cache: ArtefactCache) -> None:
    """One digit is another: same size, and only the content says so."""
    cache.get_or_build(OTHER, build)
    (cache.get_or_build(KEY, build).path / "first").write_bytes(b"half and hale")


def prepare_age(cache: ArtefactCache) -> None:
    """Something for gc of each sort: quarantined, damaged, and not used for long."""
    prepare_damage(cache)
    cache.find(KEY)
    old(cache, KEY)
    (cache.get_or_build(BROKEN, build).path / "first").unlink()


def do_build(cache: ArtefactCache) -> None:
    cache.get_or_build(KEY, build)


def do_collect(cache: ArtefactCache) -> None:
    cache.gc(max_age=timedelta(days=7))


PREPARED = {"build": prepare_nothing, "rebuild": prepare_damage, "collect": prepare_age}
DONE = {"build": do_build, "rebuild": do_build, "collect": do_collect}


def program_steps(scenario: str, root: Path) -> list[dict[str, Any]]:
    """Kill at the first step, the second, ... until it comes through; what was found each time."""
    do_build(ArtefactCache(root / "warm"))  # imports are no steps
    os.fsync = lambda fd: None  # see `before_each_step`
    rounds: list[dict[str, Any]] = []
    while not rounds or rounds[-1]["killed"]:
        cache = ArtefactCache(root / f"{scenario}{len(rounds)}")
        PREPARED[scenario](cache)
        found: dict[str, Any] = {
            "killed": killed_at_step(len(rounds) + 1, lambda: DONE[scenario](cache)),  # noqa: B023
            "problems": kinds(cache),
            "absent_or_whole": cache.find(KEY) is None or is_whole(cache, KEY),
            "other_kept": scenario == "build" or is_whole(cache, OTHER),
        }
        if len(rounds) % 2:  # gc cures, and so does simply going on
            cache.gc()
            found["swept"] = kinds(cache)
        cache.get_or_build(KEY, build)
        found["next_build_whole"] = is_whole(cache, KEY)
        found["built_again"] = kinds(cache)
        rounds.append(found)
    return rounds


def program_random(scenario: str, root: Path) -> dict[str, Any]:
    """Two processes building the same series of products, each killed at a random moment."""
    seed = int(scenario)
    choose = random.Random(seed)
    cache = ArtefactCache(root)
    keys = [CacheKey("variant", {"number": number}) for number in range(1000)]
    published = root / "published"

    def slow(directory: Path) -> None:
        build(directory)
        time.sleep(0.002)
        (directory / "third").write_bytes(bytes(100_000))

    def work() -> None:
        note = os.open(published, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for key in keys:
            if cache.get_or_build(key, slow).built:
                os.write(note, key.digest.encode() + b"\n")

    began = time.monotonic()
    cache.get_or_build(keys[0], slow)
    one = time.monotonic() - began
    problems: set[str] = set()
    kills = 0
    for _ in range(15):
        children = [forked(work), forked(work)]
        for child in children:
            time.sleep(choose.uniform(0.1, 2) * one)
            os.kill(child, signal.SIGKILL)
            kills += os.waitpid(child, 0)[1] == signal.SIGKILL
        problems |= set(kinds(cache))
    entries = cache.stats().total.entries
    whole = sum(is_whole(cache, key) for key in keys[:entries])
    noted = published.read_text(encoding="utf-8").split()
    swept = cache.gc()
    return {
        "kills": kills,
        "problems": sorted(problems),
        "damaged": len(swept.damaged),
        "swept": kinds(cache),
        "entries": entries,
        "whole": whole,
        # A process may be killed before it could note what it had built.
        "unnoted": entries - 1 - len(set(noted)),
        "twice": len(noted) - len(set(noted)),
    }


def program_orphan(scenario: str, root: Path) -> dict[str, Any]:
    """Kill a builder (that has children of its own) while another process waits for it."""
    cache = ArtefactCache(root, report_every=0.05)
    ready_out, ready_in = os.pipe()

    def hang(directory: Path) -> None:
        build(directory)
        if scenario == "fork":
            orphan = forked(lambda: time.sleep(60))
        elif scenario == "program":
            orphan = subprocess.Popen(["sleep", "60"]).pid
        else:
            orphan = 0
        os.write(ready_in, f"{orphan}\n".encode())
        time.sleep(60)

    holder = forked(lambda: cache.get_or_build(KEY, hang))
    orphan = int(os.read(ready_out, 100))
    heard: list[int | None] = []

    def hear(info: Any) -> None:
        heard.append(info.holder and info.holder.pid)
        if len(heard) == 3:
            os.kill(holder, signal.SIGKILL)

    began = time.monotonic()
    entry = cache.get_or_build(KEY, build, on_wait=hear)
    seconds = time.monotonic() - began
    if orphan:
        os.kill(orphan, 0)  # raises if it is gone: then this would have shown nothing
        os.kill(orphan, signal.SIGKILL)
    os.waitpid(holder, 0)
    return {
        "built": entry.built,
        "named_holder": heard == [holder] * len(heard),
        "seconds": seconds,
        "problems": kinds(cache),
    }


def program_wait(scenario: str, root: Path) -> None:
    """Wait for the key for ever, saying so."""
    ArtefactCache(root, report_every=0.05).get_or_build(
        KEY, build, on_wait=lambda info: print("waiting", flush=True)
    )


def arguments(program: str, scenario: str, root: Path) -> list[str]:
    return [sys.executable, __file__, program, scenario, str(root)]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(bench.__file__).parents[1])}


def run(program: str, scenario: str, root: Path) -> Any:
    done = subprocess.run(
        arguments(program, scenario, root),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("scenario", ["build", "rebuild", "collect"])
def test_killed_before_each_single_step(tmp_path: Path, scenario: str) -> None:
    rounds = run("steps", scenario, tmp_path)
    assert len(rounds) > 20, "the steps were not counted"
    leftover, quarantined = ProblemKind.LEFTOVER.value, ProblemKind.QUARANTINED.value
    for number, found in enumerate(rounds, start=1):
        where = f"killed before step {number}: {found}"
        harmless = {leftover, quarantined}
        if scenario != "build":  # the damage done on purpose may still be in its place
            harmless.add(ProblemKind.DAMAGED.value)
        assert set(found["problems"]) <= harmless, where
        assert found["absent_or_whole"], where
        assert found["other_kept"], where
        assert found.get("swept", []) == [], where
        assert found["next_build_whole"], where
        if scenario == "build":
            assert found["built_again"] == [], where
    assert any(leftover in found["problems"] for found in rounds)
    assert leftover not in rounds[-1]["problems"]


def test_killed_at_random_moments(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print("seed", seed)
    found = run("random", str(seed), tmp_path)
    assert found["kills"] == 30
    assert set(found["problems"]) <= {ProblemKind.LEFTOVER.value}
    assert found["damaged"] == 0
    assert found["swept"] == []
    assert found["entries"] == found["whole"] > 0
    assert found["twice"] == 0
    assert 0 <= found["unnoted"] <= found["kills"]


@pytest.mark.parametrize("scenario", ["alone", "fork", "program"])
def test_waiter_takes_over_from_a_killed_builder(tmp_path: Path, scenario: str) -> None:
    """Even while children of the killed builder live on: they must not hold its lock."""
    found = run("orphan", scenario, tmp_path)
    assert found["built"]
    assert found["named_holder"]
    assert found["seconds"] < 30  # the orphan lives for 60
    assert found["problems"] == []


def test_ctrl_c_ends_the_wait(tmp_path: Path) -> None:
    cache = ArtefactCache(tmp_path)
    waiter: list[subprocess.Popen[str]] = []

    def build_while_somebody_waits(directory: Path) -> None:
        process = subprocess.Popen(
            arguments("wait", "", tmp_path),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        waiter.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
        assert "KeyboardInterrupt" in errors
        build(directory)

    assert cache.get_or_build(KEY, build_while_somebody_waits).built
    assert waiter[0].returncode != 0
    assert cache.verify() == []


if __name__ == "__main__":
    programs = {
        "steps": program_steps,
        "random": program_random,
        "orphan": program_orphan,
        "wait": program_wait,
    }
    print(json.dumps(programs[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))))
