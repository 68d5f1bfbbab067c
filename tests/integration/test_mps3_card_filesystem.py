"""The card on a real file system: full, read-only, gone. Needs root, to mount one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from targets.mps3.card import Card, check_volume
from targets.mps3.directory_volume import DirectoryVolume
from targets.mps3.errors import BoardError, CardError
from targets.virtual.board.card import load_images, make_card
from tests.support.boards.volumes import Interrupted, tree

FIRMWARE, JOB = b"firmware" * 100, b"job" * 400_000


def mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A card of 4 MiB."""
    place = tmp_path / "sd"
    place.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=4m", "card", str(place)):
        pytest.skip("no file system can be mounted: a full card NOT tested; run as root")
    make_card(place, "AN552")
    yield place
    for mounted in (place, tmp_path / "elsewhere"):
        while os.path.ismount(mounted):
            subprocess.run(["umount", "-l", str(mounted)], check=True)


def card(volume: DirectoryVolume) -> Card:
    return Card(volume, check_volume(volume, "AN552"), lambda step: None)


def test_a_full_card_is_seen_before_and_while_it_is_written(root: Path) -> None:
    before, images = tree(root), load_images(root)
    with pytest.raises(CardError, match="make room on the card"):
        card(DirectoryVolume(root)).install(FIRMWARE, JOB * 3)

    class Optimist(DirectoryVolume):
        def free_bytes(self) -> int:
            return 1 << 40

    with pytest.raises(CardError, match="No space left on device"):
        card(Optimist(root)).install(FIRMWARE, JOB * 4)
    assert load_images(root) == images
    card(DirectoryVolume(root)).restore()
    assert tree(root) == before
    card(DirectoryVolume(root)).install(FIRMWARE, JOB)
    assert [image.data for image in load_images(root)] == [FIRMWARE, JOB]


def test_a_read_only_card_is_named_as_such(root: Path) -> None:
    before = tree(root)
    assert mount("-o", "remount,ro", str(root))
    with pytest.raises(CardError, match=r"Read-only file system(.|\n)*fsck"):
        card(DirectoryVolume(root)).install(FIRMWARE, JOB)
    assert tree(root) == before


def test_a_volume_that_vanishes_while_it_is_written_is_no_loss(root: Path) -> None:
    elsewhere = root.parent / "elsewhere"
    elsewhere.mkdir()
    # Tests do not wait for a flush.
    steps = [n for n, what in enumerate(_operations(root)) if what != "sync"]
    assert len(steps) > 8
    for step in steps:
        gone = False

        def unplug(number: int, what: str, step: int = step) -> None:
            nonlocal gone
            if number == step:
                subprocess.run(["mount", "--move", str(root), str(elsewhere)], check=True)
                gone = True

        before, images = tree(root), [image.data for image in load_images(root)]
        with pytest.raises(BoardError, match=r"the volume went away|is gone"):
            card(Interrupted(root, unplug)).install(FIRMWARE, JOB)
        assert gone
        subprocess.run(["mount", "--move", str(elsewhere), str(root)], check=True)
        assert [image.data for image in load_images(root)] in (images, [FIRMWARE, JOB])
        card(DirectoryVolume(root)).restore()
        assert tree(root) == before


def _operations(root: Path) -> list[str]:
    volume = Interrupted(root, lambda number, what: None)
    card(volume).install(FIRMWARE, JOB)
    done = list(volume.operations)
    card(DirectoryVolume(root)).restore()
    return done
