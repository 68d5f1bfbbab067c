"""A place with given tags: reserved at the coordinator, and not in quarantine here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack

from bench.core.logging import logger
from targets.mps3.errors import BoardUnavailableError
from targets.mps3.labgrid.coordinator import Coordinator, Place, our_name, words_for
from targets.mps3.labgrid.keys import key_of
from targets.mps3.lease import acquire, default_directory
from targets.mps3.quarantine import Quarantine
from targets.settings.mps3 import Mps3Settings

__all__ = ["Reservation", "matching"]

_LOG = logger(__name__)
#: The longest that one call of labgrid's client waits for a reservation.
_WAIT = 600.0


class Reservation:
    """A reserved place. `close` gives it back; what is acquired must be released before."""

    def __init__(self, settings: Mps3Settings, coordinator: Coordinator) -> None:
        """Wait for a place up to `lease_wait_minutes`. Raises `BoardUnavailableError`."""
        self._coordinator = coordinator
        self._directory = settings.state_directory or default_directory()
        self._hours = settings.quarantine_hours
        with ExitStack() as life:
            self.place = self._reserved(settings, life)
            self._life = life.pop_all()

    def close(self) -> None:
        """Cancel the reservation. May be called again."""
        self._life.close()

    def _reserved(self, settings: Mps3Settings, life: ExitStack) -> str:
        tags = settings.labgrid_tags
        places = matching(self._coordinator.places(), tags)
        self._take_back(places)
        end = time.monotonic() + 60 * settings.lease_wait_minutes
        # What is in quarantine stays reserved until we have another; it would come again at once.
        with ExitStack() as refused:
            while True:
                self._require_any_sound(places, tags)
                token = self._coordinator.reserve(tags)
                place = ""
                with ExitStack() as mine:
                    mine.callback(self._coordinator.cancel, token)
                    while not place:
                        left = max(0.0, end - time.monotonic())
                        place = self._coordinator.wait(token, min(left, _WAIT))
                        if not place and time.monotonic() >= end:
                            raise BoardUnavailableError(
                                f"no labgrid place with {words_for(tags)} became free in "
                                f"{settings.lease_wait_minutes:g} minutes",
                                cure="labgrid-client who shows who uses them, labgrid-client "
                                "reservations who waits; or raise targets.mps3.lease_wait_minutes",
                            )
                    kept = refused if self._quarantine(place) else life
                    kept.enter_context(mine.pop_all())
                if kept is life:
                    return place
                _LOG.info("labgrid's place %s is in quarantine; another is reserved", place)

    def _require_any_sound(self, places: Iterable[Place], tags: Mapping[str, str]) -> None:
        reasons = {place.name: self._quarantine(place.name) for place in places}
        if all(reasons.values()):
            words = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
            raise BoardUnavailableError(
                f"every labgrid place with {words_for(tags)} is in quarantine: {words}",
                cure=f"repair the boards, then remove their files in {self._directory}",
            )

    def _quarantine(self, place: str) -> str | None:
        return Quarantine(self._directory, key_of(place), self._hours).reason()

    def _take_back(self, places: Iterable[Place]) -> None:
        """Release what a killed bench on this machine left acquired: nobody has its lease."""
        for place in places:
            if place.acquired_by != our_name():
                continue
            try:
                lease = acquire(
                    self._directory,
                    key_of(place.name),
                    purpose="taking back a place",
                    wait=0,
                    on_wait=_LOG.info,
                )
            except BoardUnavailableError:
                continue
            try:
                _LOG.warning("labgrid's place %s was left by a killed bench: released", place.name)
                self._coordinator.release(place.name)
            finally:
                lease.release()


def matching(places: Iterable[Place], tags: Mapping[str, str]) -> tuple[Place, ...]:
    """Those of `places` with `tags`. Raises `BoardUnavailableError` if there is none."""
    known = tuple(places)
    found = tuple(place for place in known if place.has(tags))
    if not found:
        others = "; ".join(
            f"{place.name} ({words_for(place.tags) or 'no tags'})" for place in known
        )
        raise BoardUnavailableError(
            f"labgrid has no place with {words_for(tags)}; it has: {others or 'no places'}",
            cure=f"labgrid-client -p PLACE set-tags {words_for(tags)}",
        )
    return found
