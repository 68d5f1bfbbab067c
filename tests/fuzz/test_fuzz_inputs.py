"""Damaged inputs of the bench: they end in a result or a `BenchError`, and soon.

The same cases every time. `make fuzz-inputs` goes on from here for as long as it is given; a case
is run again with `python -m tests.fuzz.inputs --seed N --case M`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bench.cache import inspection
from tests.fuzz.campaign import run_campaign
from tests.fuzz.inputs.cases import Entrance, InputCase, execute, make_case
from tests.fuzz.inputs.program import PROGRAM
from tests.fuzz.inputs.seeds import build_seeds, load_seeds
from tests.fuzz.inputs.trees import damage_tree

SEED = 1
#: With one whole bench, case 100.
CASES = 480
#: Seconds of processor time from which on a case counts as a hang.
LIMIT_S = 15.0
#: At least so many at each entrance, and so many of them that get through to a result.
LEAST = {
    Entrance.CONFIGURATION: (100, 3),
    Entrance.MODEL: (50, 10),
    Entrance.DATASET: (100, 3),
    Entrance.CACHE: (50, 30),
    Entrance.RUN: (100, 20),
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inputs") / "seeds"
    build_seeds(path)
    return path


def test_damaged_inputs(directory: Path) -> None:
    report = run_campaign(PROGRAM, directory, SEED, iter(range(CASES)), jobs=1, limit_s=LIMIT_S)
    assert not report.findings, str(report)
    assert report.cases == CASES
    totals: Counter[str] = Counter()
    for (entrance, _), count in report.verdicts.items():
        totals[entrance] += count
    for entrance, (least, results) in LEAST.items():
        assert totals[entrance.value] >= least
        # Mutants that are all refused at the door would test nothing but the door.
        assert report.verdicts[entrance.value, "result"] >= results
    assert totals[Entrance.BENCH.value] == 1


def test_a_case_is_the_same_everywhere(directory: Path, tmp_path: Path) -> None:
    seeds = load_seeds(directory)
    for number in range(16):
        made = []
        for place in (tmp_path / "one", tmp_path / "two"):
            case = make_case(seeds, place, 7, number)
            files = {p.relative_to(place): p.lstat().st_size for p in place.rglob("*")}
            made.append((case.entrance, case.description, files))
        assert made[0] == made[1]


def test_what_nobody_can_read_is_damaged_unread(tmp_path: Path) -> None:
    """A terabyte of nothing, a pipe, a device: made by a case, and met again by the same one."""
    for number in range(200):
        root = tmp_path / str(number)
        root.mkdir()
        (root / "small.json").write_text("{}", encoding="utf-8")
        with (root / "huge").open("wb") as stream:
            stream.truncate(1 << 40)
        os.mkfifo(root / "pipe")
        (root / "device").symlink_to("/dev/zero")
        assert damage_tree(root, np.random.default_rng(number)) != "nothing"


def test_a_traceback_and_a_thirst_for_memory_are_findings() -> None:
    def broken() -> str:
        return str(json.loads("{"))

    def thirsty() -> str:
        return "" if b"x" * (300 << 20) else "nothing"

    assert "JSONDecodeError" in execute(InputCase(1, Entrance.RUN, "", broken)).finding
    assert "MiB" in execute(InputCase(2, Entrance.DATASET, "", thirsty)).finding
    assert execute(InputCase(3, Entrance.RUN, "", lambda: "")).finding == ""


def test_an_entry_that_is_handed_out_damaged_is_a_finding(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the cache's own look at files gone, the comparison of the campaign is what is left."""
    seeds = load_seeds(directory)
    monkeypatch.setattr(inspection, "_check_file", lambda *_: None)
    found = [
        execute(case).finding
        for number in range(4, 400, 8)
        if (case := make_case(seeds, tmp_path / "case", SEED, number)).entrance is Entrance.CACHE
    ]
    assert any("damaged entry" in finding for finding in found), found
