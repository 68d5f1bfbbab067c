"""Disks that are full or read-only: the error says file, cause and cure, and nothing is torn.

The file is its own helper program, started as a script so that it can spoil its own process.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import bench
from bench.cache import ArtefactCache, CacheKey
from bench.core.errors import CacheError

KEY = CacheKey("variant", {"name": "wanted"})
SMALL = CacheKey("variant", {"name": "small"})
BROKEN = CacheKey("variant", {"name": "broken"})

#: Steps that need room on the disk, as the interpreter announces them.
_NEED_ROOM = {"open", "os.mkdir", "os.rename"}


def build_small(directory: Path) -> None:
    (directory / "model").write_bytes(b"x" * 1000)


def build_large(directory: Path) -> None:
    (directory / "model").write_bytes(b"x" * 2_000_000)


def damage(cache: ArtefactCache, key: CacheKey) -> None:
    """One byte is another."""
    (cache.get_or_build(key, build_small).path / "model").write_bytes(b"y" + b"x" * 999)


def is_whole(cache: ArtefactCache, key: CacheKey) -> bool:
    entry = cache.find(key)
    return entry is not None and entry.file("model").read_bytes() == b"x" * 1000


def kinds(cache: ArtefactCache) -> list[str]:
    return sorted(problem.kind.value for problem in cache.verify()) if cache.exists() else []


def attempt(cache: ArtefactCache, key: CacheKey, build: Any) -> dict[str, Any]:
    try:
        entry = cache.get_or_build(key, build)
    except CacheError as error:
        return {"error": error.what, "cure": error.cure}
    return {"built": entry.built}


class FullDisk:
    """From the `number`-th step that needs room on, there is none (until `emptied`)."""

    def __init__(self) -> None:
        self.left: int | None = None
        write = os.write

        def full_write(descriptor: int, content: bytes) -> int:
            self.step()
            return write(descriptor, content)

        def full_fsync(descriptor: int) -> None:
            self.step()  # and no flush, which would be most of the time this test takes

        os.write, os.fsync = full_write, full_fsync  # type: ignore[assignment]
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        # An existing file may be opened on a full disk; creating one is refused here.
        if event in _NEED_ROOM and not (
            event == "open" and (not arguments[2] & os.O_CREAT or Path(arguments[0]).exists())
        ):
            self.step()

    def step(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Scenario(NamedTuple):
    """What lies in the cache, and what is done while its disk fills up."""

    prepare: Any
    act: Any


def prepare_nothing(cache: ArtefactCache) -> None:
    cache.get_or_build(SMALL, build_small)
    shutil.rmtree(cache.root)


def prepare_damage(cache: ArtefactCache) -> None:
    cache.get_or_build(SMALL, build_small)
    damage(cache, KEY)


def prepare_age(cache: ArtefactCache) -> None:
    """Something for gc of each sort: quarantined, damaged, and not used for long."""
    prepare_damage(cache)
    cache.find(KEY)
    then = time.time() - 30 * 86_400
    os.utime(cache.get_or_build(KEY, build_small).path.parent / "manifest.json", (then, then))
    damage(cache, BROKEN)


def build_key(cache: ArtefactCache) -> dict[str, Any]:
    return attempt(cache, KEY, build_small)


def collect(cache: ArtefactCache) -> dict[str, Any]:
    try:
        report = cache.gc(max_age=timedelta(days=7))
    except CacheError as error:
        return {"error": error.what, "cure": error.cure}
    # What could not go is told, one by one.
    if failed := [*report.failed, *report.swept.failed]:
        return {"error": failed[0][1], "cure": failed[0][1], "failed": len(failed)}
    return {"removed": len(report.removed), "damaged": len(report.damaged)}


SCENARIOS = {
    "build": Scenario(prepare_nothing, build_key),
    "rebuild": Scenario(prepare_damage, build_key),
    "collect": Scenario(prepare_age, collect),
}


def program_full_at_each_step(name: str, root: Path) -> list[dict[str, Any]]:
    ArtefactCache(root / "warm").get_or_build(KEY, build_small)  # imports are no steps
    disk = FullDisk()
    rounds: list[dict[str, Any]] = []
    while not rounds or "error" in rounds[-1]:
        cache = ArtefactCache(root / str(len(rounds)))
        SCENARIOS[name].prepare(cache)
        disk.left = len(rounds)
        found = SCENARIOS[name].act(cache)
        disk.left = None
        found["problems"] = kinds(cache)
        found["other_kept"] = name == "build" or is_whole(cache, SMALL)
        found["absent_or_whole"] = cache.find(KEY) is None or is_whole(cache, KEY)
        found["temporaries"] = cache.stats().temporaries.entries if cache.exists() else 0
        found["afterwards"] = attempt(cache, KEY, build_small)
        found["whole"] = is_whole(cache, KEY)
        cache.gc()
        found["clean"] = cache.verify() == []
        rounds.append(found)
    return rounds


def program_small_disk(scenario: str, root: Path) -> dict[str, Any]:
    cache = ArtefactCache(root)
    small = attempt(cache, SMALL, build_small)
    large = attempt(cache, KEY, build_large)
    found = {
        "small": small,
        "large": large,
        "temporaries": cache.stats().temporaries.entries,
        "problems": [str(problem) for problem in cache.verify()],
        "found_still": cache.find(SMALL) is not None,
    }
    damage(cache, BROKEN)
    fill(root / "the rest")
    report = cache.gc(max_bytes=0, spare=timedelta(0))
    return found | {"damaged": len(report.damaged), "collected": len(report.removed)}


def fill(path: Path) -> None:
    """Until there is no room for a single byte more."""
    with path.open("wb", buffering=0) as stream:
        for size in (10_000, 1):
            try:
                while stream.write(b"x" * size):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


def program_size_limit(scenario: str, root: Path) -> dict[str, Any]:
    """`ulimit -f`: no file may be larger than 100,000 bytes."""
    cache = ArtefactCache(root)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    return {
        "small": attempt(cache, SMALL, build_small),
        "large": attempt(cache, KEY, build_large),
        "temporaries": cache.stats().temporaries.entries,
        "problems": kinds(cache),
    }


def program_read_only(scenario: str, root: Path) -> dict[str, Any]:
    """`root` is mounted read-only. It holds SMALL, whose stamp is old, and BROKEN, damaged."""
    cache = ArtefactCache(root)
    report = cache.gc(max_bytes=0, spare=timedelta(0))
    return {
        "small": attempt(cache, SMALL, build_small),
        "other": attempt(cache, KEY, build_small),
        "broken": attempt(cache, BROKEN, build_small),
        "problems": kinds(cache),
        "entries": cache.stats().total.entries,
        "removed": len(report.removed) + len(report.damaged),
        "failed": sorted({reason for _, reason in [*report.failed, *report.swept.failed]}),
        "would_go": len(cache.gc(max_bytes=0, spare=timedelta(0), dry_run=True).removed),
    }


def own_command(program: str, root: Path, scenario: str = "") -> list[str]:
    return [sys.executable, __file__, program, scenario, str(root)]


def run(command: list[str]) -> Any:
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": str(Path(bench.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def in_own_mounts(preparation: str, root: Path, program: str) -> Any:
    """Run a program of this file after `preparation` (shell, `$0` is the root), which may mount.

    The mounts are seen by that process alone and end with it.
    """
    if shutil.which("unshare") is None:
        pytest.skip("no `unshare` here: real full and read-only disks are NOT tested")
    base = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    probe = subprocess.run(
        [*base, preparation, str(root)], capture_output=True, text=True, check=False
    )
    if probe.returncode != 0:
        pytest.skip(f"may not mount here, disks are NOT tested for real: {probe.stderr.strip()}")
    return run([*base, f'{preparation}; exec "$@"', str(root), *own_command(program, root)])


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_disk_filling_up_at_each_single_step(tmp_path: Path, scenario: str) -> None:
    rounds = run(own_command("full_at_each_step", tmp_path, scenario))
    assert len(rounds) > (1 if scenario == "collect" else 15), "the steps were not counted"
    # What gc removes where it lies, and what it has to rename for that, is there still.
    harmless = {"quarantined", *({"damaged"} if scenario != "build" else ())}
    for number, found in enumerate(rounds[:-1]):
        where = f"full from step {number} on: {found}"
        assert os.strerror(errno.ENOSPC) in found["error"], where
        assert str(tmp_path) in found["error"], where
        assert "bench cache gc" in found["cure"], where
        assert set(found["problems"]) <= harmless, where
        assert found["absent_or_whole"], where
        assert found["other_kept"], where
        assert found["temporaries"] == 0, where
        assert "built" in found["afterwards"], where
        assert found["whole"], where
        assert found["clean"], where
    if scenario == "collect":
        assert rounds[-1]["removed"] == rounds[-1]["damaged"] == 1
    else:
        assert rounds[-1]["built"]


def test_disk_that_is_full_for_real(tmp_path: Path) -> None:
    found = in_own_mounts('mount -t tmpfs -o size=512k none "$0"', tmp_path, "small_disk")
    assert found["small"] == {"built": True}
    assert os.strerror(errno.ENOSPC) in found["large"]["error"]
    assert str(tmp_path) in found["large"]["error"]
    assert "bench cache gc" in found["large"]["cure"]
    assert found["temporaries"] == 0
    assert found["problems"] == []
    assert found["found_still"]
    assert found["damaged"] == found["collected"] == 1  # the cure works on a disk as full as that


def test_limit_on_the_size_of_files(tmp_path: Path) -> None:
    found = run(own_command("size_limit", tmp_path))
    assert found["small"] == {"built": True}
    assert os.strerror(errno.EFBIG) in found["large"]["error"]
    assert str(tmp_path) in found["large"]["error"]
    assert found["temporaries"] == 0
    assert found["problems"] == []


def test_read_only_disk_can_be_read_and_says_what_it_cannot(tmp_path: Path) -> None:
    cache = ArtefactCache(tmp_path)
    os.utime(cache.get_or_build(SMALL, build_small).path.parent / "manifest.json", (0, 0))
    damage(cache, BROKEN)
    leftover = tmp_path / "v2" / "tmp" / f"{KEY.digest}.{'0' * 16}"
    leftover.mkdir()
    mount = 'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"'
    found = in_own_mounts(mount, tmp_path, "read_only")
    assert found["small"] == {"built": False}
    for name in ("other", "broken"):
        assert os.strerror(errno.EROFS) in found[name]["error"]
        assert str(tmp_path) in found[name]["error"]
        assert "BENCH_CACHE" in found[name]["cure"]
    assert "variant" in found["broken"]["error"]
    assert "model has sha256" in found["broken"]["error"]
    assert found["problems"] == ["damaged", "unreadable"]  # a leftover, or a build still running
    assert found["entries"] == 2
    assert found["removed"] == 0
    assert found["failed"]
    assert all(os.strerror(errno.EROFS) in reason for reason in found["failed"])
    assert found["would_go"] == 1
    assert leftover.is_dir()


if __name__ == "__main__":
    programs = {
        "full_at_each_step": program_full_at_each_step,
        "small_disk": program_small_disk,
        "size_limit": program_size_limit,
        "read_only": program_read_only,
    }
    print(json.dumps(programs[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))))
