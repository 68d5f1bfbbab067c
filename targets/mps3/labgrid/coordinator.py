"""Labgrid's coordinator, asked through its own client, as the bench's user.

The client is a process because a session in ours belongs to the user who runs the bench. What it
prints about places and reservations is the same in labgrid 25 and 26.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from bench.core.processes import Bounds, Ended, TimedOutError, run_to_end
from bench.core.processes.children import python_command
from targets.mps3.errors import BoardUnavailableError

__all__ = [
    "Coordinator",
    "Place",
    "our_name",
    "parse_allocation",
    "parse_places",
    "this_user",
    "words_for",
]

#: The user name under which the bench acquires places, so that it recognises them.
_USER = "ethos-u55-bench"
_CLIENT = (
    "import runpy\nrunpy.run_module('labgrid.remote.client', run_name='__main__', alter_sys=True)"
)
_CLIENT_TIMEOUT = 60
#: Seconds until the client has said the first thing.
_CLIENT_START = 5.0
_PLACE = re.compile(r"^Place '(?P<name>.+)':$")
_TOKEN = re.compile(r"^export LG_TOKEN=(?P<token>\w+)$", re.MULTILINE)
_ALLOCATED = re.compile(r"^\s*allocations:\n\s*main: (?P<place>\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """A place, as the coordinator knows it."""

    name: str
    tags: Mapping[str, str]
    #: `host/user`, or empty.
    acquired_by: str

    def has(self, tags: Mapping[str, str]) -> bool:
        """Whether it has all of `tags`."""
        return tags.items() <= self.tags.items()


class Coordinator:
    """The coordinator at one address; empty: labgrid's own default.

    All methods raise `BoardUnavailableError` when it does not answer.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def places(self) -> tuple[Place, ...]:
        """All places."""
        return parse_places(self._require("-v", "places"))

    def acquire(self, place: str) -> str:
        """Acquire it for us; returns why not, or nothing."""
        return _failure(self._run("-p", place, "acquire"))

    def release(self, place: str) -> None:
        """Release it, if it is ours."""
        self._run("-p", place, "release")

    def allow(self, place: str, user: str) -> None:
        """Let a session of `user` use a place that is ours."""
        self._run("-p", place, "allow", user)

    def holder(self, place: str) -> str:
        """Who has acquired it: `host/user`, or empty."""
        for one in self.places():
            if one.name == place:
                return one.acquired_by
        return ""

    def reserve(self, tags: Mapping[str, str]) -> str:
        """Reserve any place with `tags`; returns the token of the reservation."""
        said = self._require("reserve", "--shell", *(f"{key}={tags[key]}" for key in sorted(tags)))
        found = _TOKEN.search(said)
        if found is None:
            raise BoardUnavailableError(f"labgrid made no reservation: {said}")
        return found["token"]

    def wait(self, token: str, seconds: float) -> str:
        """The place that a reservation has been given; empty if there is none in time."""
        try:
            done = self._within(_CLIENT_START + seconds, "wait", token)
        except TimedOutError:
            # A busy machine may not have let the client say it.
            return parse_allocation(self._require("reservations"), token)
        found = _ALLOCATED.search(done.output)
        if done.status or found is None:
            raise BoardUnavailableError(f"labgrid's reservation {token} failed: {_said(done)}")
        return found["place"]

    def cancel(self, token: str) -> None:
        """End a reservation."""
        self._run("cancel-reservation", token)

    def _require(self, *command: str) -> str:
        done = self._run(*command)
        if done.status:
            raise BoardUnavailableError(
                f"labgrid's coordinator {self._address}: {_said(done)}",
                cure="check with labgrid-client places that the coordinator runs",
            )
        return done.output

    def _run(self, *command: str) -> Ended:
        try:
            return self._within(_CLIENT_TIMEOUT, *command)
        except TimedOutError as error:
            raise BoardUnavailableError(
                f"labgrid's coordinator {self._address} does not answer",
                cure="check that labgrid-coordinator runs there",
            ) from error

    def _within(self, seconds: float, *command: str) -> Ended:
        where = ["-x", self._address] if self._address else []
        return run_to_end(
            [*python_command(_CLIENT), *where, *command],
            Bounds(seconds),
            environment={**os.environ, "LG_USERNAME": _USER},
        )


def parse_places(text: str) -> tuple[Place, ...]:
    """What `labgrid-client -v places` printed."""
    places: list[Place] = []
    for line in text.splitlines():
        if (found := _PLACE.match(line)) is not None:
            places.append(Place(found["name"], {}, ""))
            continue
        key, _, value = line.strip().partition(": ")
        if not places or not line.startswith("  ") or line.startswith("   "):
            continue
        last = places[-1]
        if key == "tags":
            tags = dict(pair.split("=", 1) for pair in value.split(", "))
            places[-1] = Place(last.name, tags, last.acquired_by)
        elif key == "acquired" and value != "None":
            places[-1] = Place(last.name, last.tags, value)
    return tuple(places)


def parse_allocation(text: str, token: str) -> str:
    """The place of a reservation, from what `labgrid-client reservations` printed; or empty."""
    for block in text.split("Reservation '")[1:]:
        found = _ALLOCATED.search(block)
        if block.startswith(f"{token}'") and found is not None:
            return found["place"]
    return ""


def our_name() -> str:
    """What the coordinator calls the bench on this machine."""
    return f"{_host()}/{_USER}"


def this_user() -> str:
    """The host and user of labgrid's sessions in this process."""
    return f"{_host()}/{os.environ.get('LG_USERNAME', getpass.getuser())}"


def words_for(tags: Mapping[str, str]) -> str:
    """Tags as labgrid's client takes them: `board=mps3 macs=128`."""
    return " ".join(f"{key}={tags[key]}" for key in sorted(tags))


def _host() -> str:
    return os.environ.get("LG_HOSTNAME", socket.gethostname())


def _failure(done: Ended) -> str:
    return (_said(done) or f"exit status {done.status}") if done.status else ""


def _said(done: Ended) -> str:
    return (done.output + done.errors).strip()
