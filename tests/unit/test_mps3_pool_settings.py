"""A pool of boards in a configuration: what each board gets, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.errors import ConfigError
from bench.plan.config import load_config
from targets.ethos_u55.accelerators import Accelerator
from targets.mps3.target import Mps3Target
from targets.settings.mps3 import Mps3Settings

GRID = '[grid]\ntargets = ["mps3"]\n[workloads]\nx = "x.tflite"\n[targets.mps3]\n'
LEFT = '[[targets.mps3.boards]]\nname = "left"\nmacs = 128\nconsole = "a"\nuart = "b"\n'


def settings(tmp_path: Path, text: str) -> Mps3Settings:
    path = tmp_path / "bench.toml"
    path.write_text(GRID + text, encoding="utf-8")
    return load_config(path).targets.mps3


def test_each_board_has_what_is_common_and_what_is_its_own(tmp_path: Path) -> None:
    pool = settings(
        tmp_path,
        'repetitions = 5\nlabgrid_environment = "lab.yaml"\nlabgrid_volume = "/media/{place}"\n'
        + LEFT
        + 'volume = "card"\npower_command = ["off"]\n'
        '[[targets.mps3.boards]]\nname = "lab"\nmacs = 256\ncount = 2\n'
        'labgrid_tags = { board = "mps3", macs = "256" }\n',
    )
    members = pool.members()
    assert list(members) == ["left", "lab-1", "lab-2"]
    left, lab = members["left"], members["lab-1"]
    assert left.volume == tmp_path / "card"
    assert left.power_command == ("off",)
    assert not left.is_behind_labgrid
    assert lab.labgrid_environment == tmp_path / "lab.yaml"
    assert lab.labgrid_volume == "/media/{place}"
    assert lab.labgrid_tags == {"board": "mps3", "macs": "256"}
    assert {one.repetitions for one in members.values()} == {5}
    assert not any(one.boards for one in members.values())
    able = Mps3Target(pool, tmp_path).capabilities().accelerators
    assert able == {Accelerator.U55_128, Accelerator.U55_256}


def test_a_pool_survives_the_way_to_a_worker(tmp_path: Path) -> None:
    pool = settings(tmp_path, LEFT + 'volume = "card"\n')
    assert Mps3Settings.model_validate(pool.model_dump(mode="json")) == pool


def test_one_board_needs_no_list(tmp_path: Path) -> None:
    alone = settings(tmp_path, 'console = "a"\nuart = "b"\nvolume = "c"\nmacs = 256\n')
    assert alone.members() == {"": alone}


def test_a_pool_that_grows_is_not_measured_again(tmp_path: Path) -> None:
    def fingerprint(text: str) -> object:
        return Mps3Target(settings(tmp_path, text), tmp_path).fingerprint()

    small = LEFT + 'volume = "card"\n'
    large = (
        small
        + '[[targets.mps3.boards]]\nname = "b"\nmacs = 256\n'
        + ('serial_number = "1"\nvolume = "card2"\n')
    )
    assert fingerprint(small) == fingerprint(large)
    assert fingerprint(small) != fingerprint('application_note = "AN547"\n' + small)
    assert fingerprint(small) != fingerprint("macs = 128\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LEFT, "give all of console, uart and volume"),
        ('console = "c"\nuart = "d"\nvolume = "e"\n' + LEFT + 'volume = "x"\n', "its own console"),
        ("macs = 256\n" + LEFT + 'volume = "x"\n', "its own macs"),
        (2 * (LEFT + 'volume = "x"\n'), "2 boards have the same name: left"),
        (
            LEFT + 'volume = "x"\n' + LEFT.replace("left", "right") + 'volume = "y"\n',
            "2 boards have the same console: a",
        ),
        ('[[targets.mps3.boards]]\nname = "a"\nmacs = 128\n', "says where it is"),
        ('[[targets.mps3.boards]]\nname = "a"\n', "targets.mps3.boards[0].macs"),
        ('[[targets.mps3.boards]]\nname = "../a"\nmacs = 128\n', "targets.mps3.boards[0].name"),
        (
            '[[targets.mps3.boards]]\nname = "a"\nmacs = 128\nlabgrid_place = "p"\n',
            "needs labgrid_environment",
        ),
        (
            'labgrid_environment = "e"\n'
            + "".join(
                f'[[targets.mps3.boards]]\nname = "{name}"\nmacs = {macs}\nlabgrid_place = "p"\n'
                for name, macs in (("a", 128), ("b", 256))
            ),
            "2 boards have the same labgrid_place: p",
        ),
        (
            'labgrid_environment = "e"\n[[targets.mps3.boards]]\nname = "a"\nmacs = 128\n'
            'labgrid_place = "p"\ncount = 2\n',
            "count is for labgrid_tags",
        ),
        (
            'labgrid_environment = "e"\n[[targets.mps3.boards]]\nname = "a"\nmacs = 128\n'
            'labgrid_place = "p"\nlabgrid_tags = { board = "x" }\n',
            "labgrid_place or labgrid_tags, not both",
        ),
        ('labgrid_tags = { board = "x" }\n', "need labgrid_environment"),
        ('labgrid_environment = "e"\nlabgrid_place = "--kick"\n', "targets.mps3.labgrid_place"),
    ],
)
def test_what_makes_no_pool_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        settings(tmp_path, text)
    assert words in str(refused.value)
