"""Many processes, one cache: every product is built once, and collecting does not disturb.

The file is its own helper program: `pytest` starts it as a script, and the script forks. (The
test process itself must not fork: under pytest-xdist it has threads.)
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import bench
from bench.cache import ArtefactCache, CacheKey

KEYS = [CacheKey("variant", {"number": number}) for number in range(5)]


def append(path: Path, record: object) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, json.dumps(record).encode() + b"\n")
    os.close(descriptor)


def read_all(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def builder(key: CacheKey, log: Path, pause: float) -> Callable[[Path], None]:
    def build(directory: Path) -> None:
        append(log, {"digest": key.digest, "pid": os.getpid()})
        (directory / "first").write_text(key.digest, encoding="utf-8")
        time.sleep(pause)
        (directory / "second").write_text(key.digest * 1000, encoding="utf-8")

    return build


def fork_all(bodies: list[Callable[[], None]]) -> None:
    """Run each of `bodies` in a process of its own, all let go at once; wait for all."""
    gate_out, gate_in = os.pipe()
    children = []
    for body in bodies:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.close(gate_in)
                os.read(gate_out, 1)  # blocks until the parent closes its end
                body()
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    os.close(gate_in)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    os.close(gate_out)
    if any(statuses):
        raise SystemExit(f"children ended with {statuses}")


def program_race(root: Path, log: Path) -> None:
    def ask_for_all() -> None:
        cache = ArtefactCache(root)
        order = random.Random(os.getpid()).sample(KEYS, len(KEYS))
        for key in order:
            entry = cache.get_or_build(key, builder(key, log, 0.02))
            whole = entry.file("second").read_text(encoding="utf-8") == key.digest * 1000
            whole &= entry.file("first").read_text(encoding="utf-8") == key.digest
            append(
                log.with_suffix(".answers"),
                {"digest": key.digest, "built": entry.built, "whole": whole},
            )

    fork_all([ask_for_all] * 8)


def program_mend(root: Path, log: Path) -> None:
    """Every entry is damaged, each in its way; many processes ask for all of them at once."""
    cache = ArtefactCache(root)
    for number, key in enumerate(KEYS):
        entry = cache.get_or_build(key, builder(key, log.with_suffix(".before"), 0))
        if number == 0:
            (entry.path / "first").unlink()
        elif number == 1:
            (entry.path.parent / "manifest.json").write_text("{}", encoding="utf-8")
        else:
            (entry.path / "first").write_text(
                KEYS[0].digest, encoding="utf-8"
            )  # same size, another's
    program_race(root, log)


def program_churn(root: Path, log: Path) -> None:
    def ask() -> None:
        end = time.monotonic() + 1.2
        cache = ArtefactCache(root)
        choose = random.Random(os.getpid())
        while time.monotonic() < end:
            key = choose.choice(KEYS)
            cache.get_or_build(key, builder(key, log, 0.001))

    def collect() -> None:
        end = time.monotonic() + 1.2
        cache = ArtefactCache(root)
        some = log.with_suffix(".some")
        # However busy the machine is: not before one of the collectors removed something.
        while time.monotonic() < end or not some.exists():
            report = cache.gc(max_bytes=0, spare=timedelta(0))
            if report.removed:
                some.touch()
            append(log.with_suffix(".removed"), {"removed": len(report.removed)})

    fork_all([ask, ask, ask, collect, collect])


def start(program: str, root: Path, log: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__, program, str(root), str(log)],
        env=os.environ | {"PYTHONPATH": str(Path(bench.__file__).parents[1])},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_benches_of_eight_processes_build_each_product_once(tmp_path: Path) -> None:
    root, log = tmp_path / "cache", tmp_path / "log"
    benches = [start("race", root, log) for _ in range(2)]
    for process in benches:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    digests = sorted(key.digest for key in KEYS)
    assert sorted(line["digest"] for line in read_all(log)) == digests  # type: ignore[type-var]
    cache = ArtefactCache(root)
    answers = read_all(log.with_suffix(".answers"))
    assert len(answers) == 2 * 8 * len(KEYS)
    assert all(answer["whole"] for answer in answers)
    built = Counter(answer["digest"] for answer in answers if answer["built"])
    assert built == Counter(digests)
    assert cache.verify() == []


def test_damaged_entries_are_built_anew_once_whoever_asks(tmp_path: Path) -> None:
    root, log = tmp_path / "cache", tmp_path / "log"
    process = start("mend", root, log)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    # The builds after the damage, by eight processes: one a key.
    assert sorted(str(line["digest"]) for line in read_all(log)) == sorted(k.digest for k in KEYS)
    assert all(answer["whole"] for answer in read_all(log.with_suffix(".answers")))
    assert errors.count("damaged entry") == len(KEYS)  # one line for each, from one process
    assert all(problem.harmless for problem in ArtefactCache(root).verify())
    report = ArtefactCache(root).gc()
    assert len(report.swept.removed) == len(KEYS)
    assert report.damaged == ()


def test_collecting_while_building_breaks_neither(tmp_path: Path) -> None:
    """The harshest collector (no spare time at all) against builders of the same entries."""
    root, log = tmp_path / "cache", tmp_path / "log"
    process = start("churn", root, log)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    cache = ArtefactCache(root)
    assert cache.verify() == []
    removed = sum(int(str(line["removed"])) for line in read_all(log.with_suffix(".removed")))
    assert removed > 0
    # Each build made one entry, and each entry was either removed, by one of them, or is there.
    assert len(read_all(log)) - removed == cache.stats().total.entries


if __name__ == "__main__":
    {"race": program_race, "churn": program_churn, "mend": program_mend}[sys.argv[1]](
        Path(sys.argv[2]), Path(sys.argv[3])
    )
