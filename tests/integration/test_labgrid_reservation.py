"""Places by their tags at a real coordinator: reserved, refused, taken back, and left free."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from targets.checkup import State
from targets.mps3.doctor import check_mps3
from targets.mps3.errors import BoardUnavailableError
from targets.mps3.labgrid.environment import LabgridEnvironment, places_of
from targets.mps3.labgrid.keys import key_of
from targets.mps3.labgrid.reservation import Reservation
from targets.mps3.lease import acquire
from targets.mps3.quarantine import FAILURES, Quarantine
from targets.settings import TargetSettings
from targets.settings.mps3 import Mps3Settings
from tests.support.boards.labgrid_place import Lab, client, labgrid_coordinator

pytestmark = pytest.mark.slow

TAGS = {"board": "mps3", "macs": "128"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with labgrid_coordinator(tmp_path_factory.mktemp("labgrid") / "l") as made:
        made.create("a", "board=mps3", "macs=128")
        made.create("b", "board=mps3", "macs=128", "rack=2")
        made.create("c", "board=mps3", "macs=256")
        yield made


def settings(lab: Lab, state: Path, **changes: object) -> Mps3Settings:
    fields: dict[str, object] = {
        "labgrid_environment": lab.environment,
        "labgrid_tags": TAGS,
        "state_directory": state,
        "lease_wait_minutes": 0,
    }
    return Mps3Settings.model_validate({**fields, **changes})


def reserve(lab: Lab, mine: Mps3Settings) -> Reservation:
    return Reservation(mine, LabgridEnvironment(lab.environment).coordinator)


def quarantine(state: Path, place: str) -> None:
    state.mkdir(exist_ok=True)
    for _ in range(FAILURES):
        Quarantine(state, key_of(place), 12).failed("it burns")


def test_two_reservations_get_two_places_and_a_third_none(lab: Lab, tmp_path: Path) -> None:
    mine = settings(lab, tmp_path / "state")
    assert places_of(mine) == ("a", "b")
    first, second = reserve(lab, mine), reserve(lab, mine)
    assert {first.place, second.place} == {"a", "b"}
    with pytest.raises(BoardUnavailableError, match="no labgrid place with board=mps3 macs=128 be"):
        reserve(lab, mine)
    first.close()
    second.close()
    second.close()
    assert lab.reservations() == ""


def test_a_place_in_quarantine_is_not_taken_and_not_kept(lab: Lab, tmp_path: Path) -> None:
    state = tmp_path / "state"
    mine = settings(lab, state)
    quarantine(state, "a")
    reservation = reserve(lab, mine)
    assert reservation.place == "b"
    assert lab.reservations().count("token:") == 1
    reservation.close()
    assert lab.reservations() == ""
    quarantine(state, "b")
    with pytest.raises(BoardUnavailableError, match="is in quarantine: a: it failed 2 times"):
        reserve(lab, mine)
    assert lab.reservations() == ""


def test_what_a_killed_bench_left_is_taken_back_but_not_from_a_living_one(
    lab: Lab, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    rack = settings(lab, state, labgrid_tags={"rack": "2"})
    client(lab.address, "-p", "b", "acquire", user="ethos-u55-bench")
    alive = acquire(state, key_of("b"), purpose="test", wait=0, on_wait=print)
    with pytest.raises(BoardUnavailableError, match="became free"):
        reserve(lab, rack)
    alive.release()
    reservation = reserve(lab, rack)
    assert reservation.place == "b"
    assert lab.acquired() == []
    reservation.close()
    assert lab.reservations() == ""


def test_tags_that_no_place_has_are_told_with_those_that_places_have(
    lab: Lab, tmp_path: Path
) -> None:
    with pytest.raises(BoardUnavailableError) as refused:
        reserve(lab, settings(lab, tmp_path, labgrid_tags={"macs": "64"}))
    assert "labgrid has no place with macs=64; it has: a (board=mps3 macs=128); b" in str(
        refused.value
    )


@pytest.mark.long
def test_doctor_examines_every_place_with_the_tags(lab: Lab, tmp_path: Path) -> None:
    quarantine(tmp_path, "b")
    pool = Mps3Settings.model_validate(
        {
            "labgrid_environment": lab.environment,
            "state_directory": tmp_path,
            "boards": [{"name": "lab", "macs": 128, "count": 3, "labgrid_tags": TAGS}],
        }
    )
    findings = check_mps3(TargetSettings(mps3=pool), tmp_path / "logs", boot=False)
    said = {finding.what: finding for finding in findings}
    assert said["lab: places"].state is State.MISSING
    assert said["lab: places"].text == "2 of 3: a, b"
    assert said["lab: a: lease"].state is State.OK
    assert said["lab: a: quarantine"].state is State.OK
    assert said["lab: b: quarantine"].state is State.MISSING
    assert lab.acquired() == []
    assert lab.reservations() == ""
