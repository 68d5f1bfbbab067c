"""What labgrid's client prints about places, as versions 25 and 26 print it."""

from __future__ import annotations

import pytest

from targets.mps3.errors import BoardUnavailableError
from targets.mps3.labgrid.coordinator import parse_allocation, parse_places
from targets.mps3.labgrid.keys import key_of
from targets.mps3.labgrid.reservation import matching

PRINTED = """\
Place 'mps3-a':
  comment: tags: none
  tags: board=mps3, macs=128
  matches:
    */board-a/*
  acquired: None
  acquired resources:
  created: 2026-01-01 00:00:00
  changed: 2026-01-01 00:00:00
Place 'mps3-b':
  tags: board=mps3, macs=256
  matches:
    */board-b/*
  acquired: host/somebody
  acquired resources:
    here/board-b/NetworkSerialPort/mcc
  allowed: host/other
  created: 2026-01-01 00:00:00
  changed: 2026-01-01 00:00:00
  reservation: TOKEN
Place 'bare':
  matches:
  acquired: None
  acquired resources:
"""


def test_tags_and_owners_are_read() -> None:
    a, b, bare = parse_places(PRINTED)
    assert (a.name, a.tags, a.acquired_by) == ("mps3-a", {"board": "mps3", "macs": "128"}, "")
    assert (b.name, b.acquired_by) == ("mps3-b", "host/somebody")
    assert (bare.name, bare.tags) == ("bare", {})
    assert parse_places("") == ()


def test_places_are_chosen_by_all_tags() -> None:
    places = parse_places(PRINTED)
    assert [place.name for place in matching(places, {"board": "mps3"})] == ["mps3-a", "mps3-b"]
    assert [place.name for place in matching(places, {"macs": "256"})] == ["mps3-b"]


def test_without_a_match_the_places_are_named() -> None:
    with pytest.raises(BoardUnavailableError) as refused:
        matching(parse_places(PRINTED), {"board": "mps3", "macs": "64"})
    assert "no place with board=mps3 macs=64; it has: mps3-a (board=mps3 macs=128)" in str(
        refused.value
    )
    assert "bare (no tags)" in str(refused.value)


def test_a_place_has_one_lock_whatever_it_runs() -> None:
    assert key_of("lab/mps3 a") == "labgrid-lab-mps3-a"


RESERVATIONS = """\
Reservation 'AAAA':
  owner: host/ethos-u55-bench
  token: AAAA
  state: waiting
  filters:
    main: board=mps3 macs=128
  created: 2026-01-01 00:00:00
  timeout: 2026-01-01 00:01:00
Reservation 'BBBB':
  owner: host/ethos-u55-bench
  token: BBBB
  state: allocated
  filters:
    main: board=mps3 macs=128
  allocations:
    main: mps3-a
  created: 2026-01-01 00:00:00
  timeout: 2026-01-01 00:01:00
"""


def test_a_reservation_has_its_own_place_and_no_other_s() -> None:
    assert parse_allocation(RESERVATIONS, "BBBB") == "mps3-a"
    assert parse_allocation(RESERVATIONS, "AAAA") == ""
    assert parse_allocation(RESERVATIONS, "CCCC") == ""
