"""What is being done, in numbers: cells, tests, stages and what is left. Knows no terminal."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from bench.core.text import one_line
from bench.measuring.progress import ProgressEvent

__all__ = ["ProgressBoard", "Shown", "clock"]

_SUBJECT = re.compile(r"\[(.+)\]$")
#: Stages in the order of the work; others follow.
_STAGES = ("download", "train", "quantise", "compile", "measure", "reference")
#: What is left is guessed from this share of the tests on.
_GUESS_FROM = 0.03
#: Work that is named, the longest first.
_NAMED = 6


@dataclass(frozen=True)
class Shown:
    """What a person is shown."""

    #: Of the tests, 0..1.
    share: float
    #: `cells 12 of 64, 3 running, 5 cached`, and so on.
    headline: str
    #: A line for each stage that has begun.
    stages: tuple[str, ...]
    #: What is being done now, and what devices do.
    running: tuple[str, ...]


class ProgressBoard:
    """Counts the tests and the work of a run as they are told."""

    def __init__(
        self, cells: Collection[str], now: float, seats: Mapping[str, int] | None = None
    ) -> None:
        """`cells` are the ids of the plan; times are monotonic, in seconds.

        `seats` is how many cells a target can measure at once, where that is limited.
        """
        self._cells = frozenset(cells)
        self._seats = dict(seats or {})
        self._start = now
        self._left: Counter[str] = Counter()
        self._total = self._ended = self._failed = 0
        self._done: set[str] = set()
        self._measured: set[str] = set()
        self._running: dict[tuple[int, str, str], tuple[ProgressEvent, float]] = {}
        self._finished: Counter[str] = Counter()

    def collected(self, nodeids: Iterable[str]) -> None:
        """These are the tests."""
        if self._total:
            return
        for nodeid in nodeids:
            self._total += 1
            if (subject := _subject(nodeid)) in self._cells:
                self._left[subject] += 1

    def ended(self, nodeid: str, *, failed: bool) -> None:
        """A test has come to its end."""
        self._ended += 1
        self._failed += failed
        subject = _subject(nodeid)
        if subject in self._left:
            self._left[subject] -= 1
            if self._left[subject] <= 0:
                self._done.add(subject)

    def take(self, events: Iterable[ProgressEvent], now: float) -> None:
        """Work has begun, gone on or ended."""
        for event in events:
            place = (event.pid, event.kind, event.task)
            # A wait has no end of its own; the next thing that the process does ends it.
            for other in [p for p in self._running if p[:2] == (event.pid, "wait")]:
                del self._running[other]
            if event.state in ("started", "update"):
                begun = self._running.get(place, (event, now - event.seconds))[1]
                self._running[place] = (event, begun)
            else:
                self._running.pop(place, None)
                self._finished[event.kind] += 1
                # Whoever waited for it waits no longer.
                for other in [p for p in self._running if p[1:] == ("wait", event.task)]:
                    del self._running[other]
            if event.kind == "measure":
                self._measured.add(event.task)

    def shown(self, now: float) -> Shown:
        """What to show at the time `now`."""
        return Shown(
            share=min(1.0, self._ended / self._total) if self._total else 0.0,
            headline=", ".join(self._headline(now)),
            stages=tuple(self._stages()),
            running=tuple(self._named(now)),
        )

    def _headline(self, now: float) -> Iterable[str]:
        measuring = {e.task for e, _ in self._running.values() if e.kind == "measure"}
        cached = len(self._done - self._measured)
        yield f"cells {len(self._done):,} of {len(self._left):,}"
        if measuring:
            yield f"{len(measuring):,} running"
        if cached:
            yield f"{cached:,} cached"
        for target, seats in self._seats.items():
            taken = sum(_is_of(task, target) for task in measuring)
            yield f"{target} {min(taken, seats):,} of {seats:,} seats"
        yield f"tests {self._ended:,} of {self._total:,}"
        if self._failed:
            yield f"{self._failed:,} FAILED"
        elapsed = now - self._start
        yield f"{clock(elapsed)} so far"
        if self._total and _GUESS_FROM <= self._ended / self._total < 1:
            left = elapsed * (self._total - self._ended) / self._ended
            yield f"about {clock(left)} left"

    def _stages(self) -> Iterable[str]:
        running = Counter(event.kind for event, _ in self._running.values())
        kinds = [*_STAGES, *sorted({*running, *self._finished} - set(_STAGES))]
        for kind in kinds:
            if kind in ("wait", "device"):
                continue
            words = []
            if self._finished[kind]:
                words.append(f"{self._finished[kind]:,} done")
            if running[kind]:
                words.append(f"{running[kind]:,} running")
            if words:
                yield f"{kind} {', '.join(words)}"

    def _named(self, now: float) -> Iterable[str]:
        """The work that takes longest, and every device."""
        known = sorted(self._running.values(), key=lambda one: one[1])
        for event, begun in known[:_NAMED]:
            words = f"{event.kind} {event.task} {event.text}".rstrip()
            yield one_line(f"{words} ({clock(now - begun)})")
        if len(known) > _NAMED:
            yield f"and {len(known) - _NAMED} more"


def _is_of(task: str, target: str) -> bool:
    """Whether a measurement is on `target`: of a cell, whose id ends so, or of many at once."""
    return task.endswith(f"-{target}") or task.startswith(f"{target}, ")


def _subject(nodeid: str) -> str:
    found = _SUBJECT.search(nodeid)
    return found[1] if found else ""


def clock(seconds: float) -> str:
    """`1:05`, or `2:00:05`."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
