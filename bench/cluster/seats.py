"""Seats: what a machine has only so many of, such as boards, and a cell takes one of."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bench.core.errors import ConfigError
from bench.core.schema import suggest
from targets.registry import EXCLUSIVE

__all__ = ["SEATED", "parse_seats"]

#: Targets whose cells need a seat; those of every other one can be measured by any worker.
SEATED = frozenset({"fvp"}) | EXCLUSIVE

_COUNT = re.compile(r"([a-z0-9_]+)=([0-9]{1,3})")


def parse_seats(text: str) -> Mapping[str, int]:
    """`fvp=2,mps3=1`; empty for none. Raises `ConfigError`."""
    seats: dict[str, int] = {}
    for part in text.split(",") if text else ():
        match = _COUNT.fullmatch(part.strip())
        if match is None:
            raise ConfigError(f"--seats: {part!r} is no seat", cure="write fvp=2,mps3=1")
        if match[1] not in SEATED:
            raise ConfigError(
                f"--seats: {match[1]!r} has no seats; {suggest(match[1], sorted(SEATED))}"
            )
        seats[match[1]] = int(match[2])
    return seats
