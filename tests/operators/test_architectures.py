"""Whole small networks through the whole bench: none is lost, each ends as its page says.

`make architectures` plays all of them; here is a sample.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operators.architectures.architecture import Architecture
from tests.operators.architectures.catalogue import ARCHITECTURES
from tests.operators.architectures.playing import Outcome, cell_of, outcome, play
from tests.operators.architectures.table import PAGE, page, row

#: So many architectures there must be.
WANTED = 80


def sample() -> list[tuple[int, Architecture]]:
    """The first of each family, and all that deviate."""
    families: set[str] = set()
    chosen = []
    for index, one in enumerate(ARCHITECTURES):
        if one.family not in families or one.deviation:
            chosen.append((index, one))
        families.add(one.family)
    return chosen


def test_a_sample_ends_as_the_page_says(tmp_path: Path) -> None:
    run, played = play(sample(), tmp_path, turns=[0])
    assert run.returncode == 0, run.output
    text = PAGE.read_text(encoding="utf-8")
    for one in played:
        assert row(one.architecture, outcome(one)) in text, "run `make architectures`"


def test_the_page_lists_them_all() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(ARCHITECTURES) >= WANTED
    names = [one.name for one in ARCHITECTURES]
    assert len(set(names)) == len(names)
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")]
    told = {
        name.strip(" `"): Outcome(outputs.strip(), on_cpu.strip())
        for _, name, outputs, on_cpu in rows
    }
    assert text == page(ARCHITECTURES, told), "run `make architectures`"


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda one: one.name)
def test_a_model_is_the_same_at_every_call(architecture: Architecture) -> None:
    assert architecture.model() == architecture.model()


def test_four_turns_meet_every_accelerator_and_both_memory_modes() -> None:
    for index, one in enumerate(ARCHITECTURES):
        cells = [cell_of(index, one.name, turn) for turn in range(4)]
        assert len({cell.accelerator for cell in cells}) == 4
        assert len({cell.memory_mode for cell in cells}) == 2
    together = {
        (cell.accelerator, cell.memory_mode)
        for index, one in enumerate(ARCHITECTURES)
        for cell in [cell_of(index, one.name, 0)]
    }
    assert len(together) == 8
