"""What the bench does to a board's SD card, judged by the virtual board's own way of reading it."""

from __future__ import annotations

import errno
import os
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.errors import BenchError
from targets.mps3.card import Card, check_volume
from targets.mps3.directory_volume import DirectoryVolume
from targets.mps3.errors import BoardError, CardError
from targets.virtual.board.card import load_images, make_card
from tests.support.boards.volumes import Broken, Interrupted, Unflushed, tree

FOLDER = "MB/HBI0309C/AN552"
FIRMWARE, OTHER_FIRMWARE = b"firmware" * 100, b"other firmware" * 100
JOB, OTHER_JOB = b"job" * 1000, b"another job" * 1000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_card(tmp_path / "sd", "AN552")
    return tmp_path / "sd"


def card(volume: DirectoryVolume) -> Card:
    return Card(volume, check_volume(volume, "AN552"), lambda step: None)


def loaded(root: Path) -> list[tuple[int, bytes]]:
    """What a boot would put where, in device addresses."""
    return [(image.device_address, image.data) for image in load_images(root)]


def wanted(firmware: bytes, job: bytes) -> list[tuple[int, bytes]]:
    return [(0, firmware), (0x7000_0000, job)]


def nothing(number: int, what: str) -> None:
    """No interruption."""


def test_firmware_and_job_are_loaded_where_the_firmware_expects_them(root: Path) -> None:
    card(Unflushed(root)).install(FIRMWARE, JOB)
    assert loaded(root) == wanted(FIRMWARE, JOB)
    text = (root / FOLDER / "images.txt").read_bytes()
    assert b"\r\nTOTALIMAGES: 2" in text
    assert (
        b"\r\nIMAGE0ADDRESS: 0x00000000\r\nIMAGE0UPDATE: AUTO\r\nIMAGE0FILE: \\SOFTWARE\\" in text
    )
    assert b"\r\nIMAGE1ADDRESS: 0x0c000000\r\n" in text


def test_the_card_comes_back_as_it_was(root: Path) -> None:
    before = tree(root)
    mine = card(Unflushed(root))
    mine.install(FIRMWARE, JOB)
    mine.install(OTHER_FIRMWARE, OTHER_JOB)
    changed = {name for name, data in tree(root).items() if before.get(name) != data}
    assert all(name.startswith(("SOFTWARE/BENCH", FOLDER)) for name in changed), changed
    mine.restore()
    assert tree(root) == before
    mine.restore()
    assert tree(root) == before


def test_only_what_changed_is_written(root: Path) -> None:
    volume = Interrupted(root, nothing)
    mine = card(volume)
    mine.install(FIRMWARE, JOB)
    volume.operations.clear()
    mine.install(FIRMWARE, OTHER_JOB)
    written = [what for what in volume.operations if what.startswith("write SOFTWARE")]
    assert written == ["write SOFTWARE/BENCHJ01.BIN"]
    volume.operations.clear()
    mine.install(FIRMWARE, OTHER_JOB)
    assert not [what for what in volume.operations if what.startswith(("write", "replace"))]
    assert loaded(root) == wanted(FIRMWARE, OTHER_JOB)


def broken_at(step: int) -> object:
    def interruption(number: int, what: str) -> None:
        if number == step:
            raise Broken

    return interruption


@pytest.mark.parametrize("again", ["install", "restore"])
def test_killed_at_any_step_the_card_is_old_or_new_and_the_next_bench_repairs_it(
    tmp_path: Path, again: str
) -> None:
    finished = False
    states = set()
    for step in count():
        root = tmp_path / str(step)
        make_card(root, "AN552")
        before, images = tree(root), loaded(root)
        card(Unflushed(root)).install(FIRMWARE, JOB)
        killed = Interrupted(root, broken_at(step))  # type: ignore[arg-type]
        try:
            card(killed).install(OTHER_FIRMWARE, OTHER_JOB)
            card(killed).restore()
            finished = True
        except Broken:
            pass
        now = loaded(root)
        possible = [wanted(FIRMWARE, JOB), wanted(OTHER_FIRMWARE, OTHER_JOB), images]
        assert now in possible, (step, killed.operations)
        states.add(possible.index(now))
        after = card(Unflushed(root))
        if again == "install":
            after.install(FIRMWARE, OTHER_JOB)
            assert loaded(root) == wanted(FIRMWARE, OTHER_JOB)
        after.restore()
        assert tree(root) == before, (step, killed.operations)
        if finished:
            break
    assert states == {0, 1, 2}
    assert step > 12


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_failing_card_is_a_precise_error_and_stays_consistent(
    tmp_path: Path, number: int
) -> None:
    for step in count():
        root = tmp_path / str(step)
        make_card(root, "AN552")
        before, images = tree(root), loaded(root)
        volume = Unflushed(root)

        def failing(n: int, what: str, step: int = step) -> None:
            if n == step:
                raise OSError(number, os.strerror(number))

        caught = None
        try:
            card(Interrupted(root, failing)).install(FIRMWARE, JOB)
        except BenchError as error:
            caught = error
        if caught is None:
            break
        assert isinstance(caught, BoardError if number == errno.EIO else CardError)
        assert str(root) in caught.what
        assert os.strerror(number) in caught.what
        assert caught.cure
        assert loaded(root) in (images, wanted(FIRMWARE, JOB))
        card(volume).restore()
        assert tree(root) == before
    assert step > 5


def test_a_card_without_room_is_refused_before_anything_is_written(root: Path) -> None:
    class Full(Unflushed):
        def free_bytes(self) -> int:
            return 1000

    with pytest.raises(CardError, match=r"needs 800 bytes and 1,048,576 to spare; 1,000 are free"):
        card(Full(root)).install(FIRMWARE, JOB)
    assert loaded(root) == [(0, bytes(64))]


def test_the_controller_firmware_is_never_touched(root: Path) -> None:
    volume = Interrupted(root, nothing)
    mine = card(volume)
    mine.install(FIRMWARE, JOB)
    mine.restore()
    assert not [what for what in volume.operations if what.lower().endswith(".ebf")]
    assert all(
        name.split("/")[-1] in ("images.txt", "BENCHOLD.TXT", "BENCHNEW.TXT")
        or name.startswith("SOFTWARE/BENCH")
        for what in volume.operations
        if (name := what.partition(" ")[2])
    )


def test_what_the_user_put_on_the_card_meanwhile_is_what_comes_back(root: Path) -> None:
    mine = card(Unflushed(root))
    mine.install(FIRMWARE, JOB)
    text = (root / FOLDER / "images.txt").read_text(encoding="utf-8").replace("AUTO", "FORCE")
    theirs = text.replace("Ethos-U55 regression bench", "mine")
    (root / FOLDER / "images.txt").write_text(theirs, encoding="utf-8")
    mine.install(OTHER_FIRMWARE, OTHER_JOB)
    mine.restore()
    assert (root / FOLDER / "images.txt").read_text(encoding="utf-8") == theirs


def test_the_wrong_drive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "MBED.HTM").write_text("x", encoding="utf-8")
    (tmp_path / "DETAILS.TXT").write_text("x", encoding="utf-8")
    with pytest.raises(CardError, match=r"not the SD card of an MPS3.*debug drive, MBED MPS3"):
        check_volume(DirectoryVolume(tmp_path), "AN552")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["DETAILS.TXT", "MBED.HTM"]


@pytest.mark.parametrize(
    ("remove", "message"),
    [
        ("config.txt", "not the SD card"),
        ("MB/HBI0309C/AN552/images.txt", "has no images.txt"),
        ("SOFTWARE/selftest.bin", ""),
    ],
)
def test_an_incomplete_card_is_refused(root: Path, remove: str, message: str) -> None:
    (root / remove).unlink()
    if not message:
        assert check_volume(DirectoryVolume(root), "AN552") == FOLDER
        return
    with pytest.raises(CardError, match=message):
        check_volume(DirectoryVolume(root), "AN552")


def test_another_application_note_is_refused(root: Path) -> None:
    with pytest.raises(CardError, match=r"0 folders MB/HBI0309\*/AN547"):
        check_volume(DirectoryVolume(root), "AN547")
    (root / "MB/HBI0309C/AN547").mkdir()
    with pytest.raises(CardError, match=r"board\.txt boots AN552, not AN547"):
        check_volume(DirectoryVolume(root), "AN547")


def test_letter_case_on_the_card_does_not_matter(root: Path) -> None:
    (root / "config.txt").rename(root / "CONFIG.TXT")
    (root / FOLDER / "images.txt").rename(root / FOLDER / "IMAGES.TXT")
    before = tree(root)
    mine = card(Unflushed(root))
    mine.install(FIRMWARE, JOB)
    assert loaded(root) == wanted(FIRMWARE, JOB)
    mine.restore()
    assert tree(root) == before


CONTENTS = st.sampled_from([b"a" * 10, b"b" * 3000, b"c" * 3000])


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(st.sampled_from(["install", "restore"]), CONTENTS, CONTENTS, st.integers(0, 16)),
        max_size=6,
    )
)
def test_any_history_of_benches_and_kills_leaves_old_or_new(
    tmp_path_factory: pytest.TempPathFactory,
    history: list[tuple[str, bytes, bytes, int]],
) -> None:
    root = tmp_path_factory.mktemp("history")
    make_card(root, "AN552")
    before, images = tree(root), loaded(root)
    possible = [images]
    for action, firmware, job, step in history:
        killed = Interrupted(root, broken_at(step))  # type: ignore[arg-type]
        goal = wanted(firmware, job) if action == "install" else images
        previous = loaded(root)
        try:
            if action == "install":
                card(killed).install(firmware, job)
            else:
                card(killed).restore()
            possible = [goal]
        except Broken:
            possible = [previous, goal]
        assert loaded(root) in possible
    card(Unflushed(root)).restore()
    assert tree(root) == before
