"""Disks that are full or read-only: the error says file, cause and cure, and nothing is torn.

The file is its own helper program, started as a script so that it can spoil its own process.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.cache import ArtefactCache, CacheKey
from bench.core.errors import CacheError

KEY = CacheKey("variant", {"name": "wanted"})
SMALL = CacheKey("variant", {"name": "small"})

#: Steps that need room on the disk, as the interpreter announces them.
_NEED_ROOM = {"open", "os.mkdir", "os.rename"}


def build_small(directory: Path) -> None:
    (directory / "model").write_bytes(b"x" * 1000)


def build_large(directory: Path) -> None:
    (directory / "model").write_bytes(b"x" * 2_000_000)


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


def program_full_at_each_step(root: Path) -> list[dict[str, Any]]:
    ArtefactCache(root / "warm").get_or_build(KEY, build_small)  # imports are no steps
    disk = FullDisk()
    rounds: list[dict[str, Any]] = []
    while not rounds or "error" in rounds[-1]:
        cache = ArtefactCache(root / str(len(rounds)))
        disk.left = len(rounds)
        found = attempt(cache, KEY, build_small)
        disk.left = None
        found["problems"] = [str(problem) for problem in cache.verify()]
        found["temporaries"] = cache.stats().temporaries.entries
        found["afterwards"] = attempt(cache, KEY, build_small)
        found["clean"] = cache.verify() == []
        rounds.append(found)
    return rounds


def program_small_disk(root: Path) -> dict[str, Any]:
    cache = ArtefactCache(root)
    small = attempt(cache, SMALL, build_small)
    large = attempt(cache, KEY, build_large)
    return {
        "small": small,
        "large": large,
        "temporaries": cache.stats().temporaries.entries,
        "problems": [str(problem) for problem in cache.verify()],
        "found_still": cache.find(SMALL) is not None,
        "collected": len(cache.gc(max_bytes=0, spare=timedelta(0)).removed),
    }


def program_read_only(root: Path) -> dict[str, Any]:
    """`root` holds SMALL and is mounted read-only; its stamp is old."""
    cache = ArtefactCache(root)
    return {
        "small": attempt(cache, SMALL, build_small),
        "other": attempt(cache, KEY, build_small),
        "problems": [str(problem) for problem in cache.verify()],
        "entries": cache.stats().total.entries,
    }


def own_command(program: str, root: Path) -> list[str]:
    return [sys.executable, __file__, program, str(root)]


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


def test_disk_filling_up_at_each_single_step(tmp_path: Path) -> None:
    rounds = run(own_command("full_at_each_step", tmp_path))
    assert len(rounds) > 15, "the steps were not counted"
    for number, found in enumerate(rounds[:-1]):
        where = f"full from step {number} on: {found}"
        assert os.strerror(errno.ENOSPC) in found["error"], where
        assert str(tmp_path) in found["error"], where
        assert "bench cache gc" in found["cure"], where
        assert found["problems"] == [], where
        assert found["temporaries"] == 0, where
        assert found["clean"], where
        assert "built" in found["afterwards"], where
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
    assert found["collected"] == 1  # the cure works on a disk that is as full as that


def test_read_only_disk_can_be_read_and_says_what_it_cannot(tmp_path: Path) -> None:
    entry = ArtefactCache(tmp_path).get_or_build(SMALL, build_small)
    os.utime(entry.path.parent / "manifest.json", (0, 0))
    mount = 'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"'
    found = in_own_mounts(mount, tmp_path, "read_only")
    assert found["small"] == {"built": False}
    assert os.strerror(errno.EROFS) in found["other"]["error"]
    assert str(tmp_path) in found["other"]["error"]
    assert "BENCH_CACHE" in found["other"]["cure"]
    assert found["problems"] == []
    assert found["entries"] == 1


if __name__ == "__main__":
    programs = {
        "full_at_each_step": program_full_at_each_step,
        "small_disk": program_small_disk,
        "read_only": program_read_only,
    }
    print(json.dumps(programs[sys.argv[1]](Path(sys.argv[2]))))
