"""The bounds of every published row, what each network says of the others, and both as tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from benchmarks.markdown import table
from targets.simulator.timing.assumptions import ALTERNATIVES, DECIDED

__all__ = [
    "BOUNDS",
    "CHOICES",
    "LIKELY",
    "RESISTING",
    "EveryRow",
    "Kind",
    "Without",
    "broken_bounds",
    "choices_without",
    "row_table",
    "without_table",
]

#: What was decided, and everything that would have changed one choice.
CHOICES = (DECIDED, *ALTERNATIVES)


class Kind(str, Enum):
    """What the network of ours has in common with the published one."""

    EXACT = "same artefact"
    REBUILT = "rebuilt"
    SIZED = "same shape and size"
    SILICON = "same network"
    SWEPT = "other adapters"
    OTHER_VELA = "older Vela"


#: How far off a row may be. An older Vela gives another command stream, which has no bound.
BOUNDS: Mapping[Kind, float] = MappingProxyType(
    {
        Kind.EXACT: 0.02,
        Kind.REBUILT: 0.03,
        Kind.SIZED: 0.03,
        Kind.SILICON: 0.02,
        Kind.SWEPT: 0.04,
    }
)
#: Rows that break the bound of their kind, and what they are held to; docs/published.md says what
#: was tried. A row that keeps its kind's bound must not stand here.
RESISTING: Mapping[tuple[str, int, str], float] = MappingProxyType(
    {
        ("vww4_128_128_INT8", 32, "Vela 5.0.0"): 0.05,
        ("kws_micronet_m", 256, "SRAM cap 2000, flash cap 50, latency 64"): 0.10,
        ("ad_medium_int8", 256, "SRAM cap 2000, flash cap 50, latency 64"): 0.08,
        ("rnnoise_INT8", 256, "SRAM cap 4000, flash cap 200, latency 16"): 0.09,
    }
)
#: The kinds with the usual memories and the same stream or the same work.
_COMPARED = (Kind.EXACT, Kind.REBUILT, Kind.SIZED)
#: What the published beats say of the FPGA system of Arm's article; see docs/fidelity.md. Only
#: these rows of the article decide about choices.
LIKELY = "commands on AXI0"
#: How much worse than now the choice of the other networks may predict one, as a share.
_POINT = 0.01


@dataclass(frozen=True)
class EveryRow:
    """A published row next to ours. Cycles; errors are shares of what is published."""

    network: str
    macs: int
    measured_on: str
    #: What else is known: the compiler, the adapters, the rounding.
    condition: str
    kind: Kind
    published: int
    #: Ours under each of `CHOICES`; the first is the estimate.
    ours: tuple[int, ...]
    #: Vela's estimate; None where it knows nothing of what was changed.
    vela: int | None
    #: Errors of the beats read and written on AXI0 and read on AXI1; None: not published.
    beats: tuple[float | None, ...]

    @property
    def key(self) -> tuple[str, int, str]:
        """What names it among all."""
        return self.network, self.macs, self.condition

    @property
    def error(self) -> float:
        """The error of the estimate."""
        return self.error_of(0)

    def error_of(self, choice: int) -> float:
        """The error under one of `CHOICES`."""
        return self.ours[choice] / self.published - 1

    @property
    def vela_error(self) -> float | None:
        """Of Vela's estimate."""
        return None if self.vela is None else self.vela / self.published - 1

    @property
    def family(self) -> str:
        """The network, whatever its variant."""
        return self.network.split(" ")[0]


@dataclass(frozen=True)
class Without:
    """What the other networks choose, and how far off that is for the one left out."""

    network: str
    #: The index in `CHOICES` of what they choose.
    choice: int
    #: The greatest errors of its rows now, and with that choice.
    now: float
    then: float


def choices_without(rows: Sequence[EveryRow]) -> list[Without]:
    """For each network: the choice with the smallest root mean square error on the others."""
    deciding = [
        row
        for row in rows
        if row.kind in _COMPARED and (row.kind is not Kind.SIZED or row.condition == LIKELY)
    ]
    found = []
    for network in dict.fromkeys(row.family for row in deciding):
        mine = [row for row in deciding if row.family == network]
        others = [row for row in deciding if row.family != network]
        spread = [
            math.hypot(*(row.error_of(choice) for row in others)) for choice in range(len(CHOICES))
        ]
        choice = spread.index(min(spread))
        now, then = (max(abs(row.error_of(index)) for row in mine) for index in (0, choice))
        found.append(Without(network, choice, now, then))
    return found


def broken_bounds(rows: Sequence[EveryRow], found: Sequence[Without]) -> list[str]:
    """What breaks a bound, a sentence each; nothing if all hold."""
    wrong = []
    for row in rows:
        bound = RESISTING.get(row.key, BOUNDS.get(row.kind, math.inf))
        if abs(row.error) > bound:
            wrong.append(f"BROKEN BOUND: {row.key}: {row.error:+.1%}, allowed {bound:.0%}")
        if row.key in RESISTING and abs(row.error) <= BOUNDS[row.kind]:
            wrong.append(f"NO EXCEPTION ANY MORE: {row.key}: {row.error:+.1%}")
    known = {row.key for row in rows}
    wrong += [f"NO SUCH ROW: {key}" for key in RESISTING if key not in known]
    compared = [row for row in rows if row.kind in _COMPARED]
    ours = max(abs(row.error) for row in compared)
    vela = max(abs(row.vela_error or 0.0) for row in compared)
    if ours * 3 >= vela:
        wrong.append(f"NOT A THIRD: {ours:.1%}, Vela {vela:.1%}")
    return wrong + [
        f"NOT PREDICTED: {each.network}: {each.then:.1%} instead of {each.now:.1%}"
        for each in found
        if each.then > each.now + _POINT
    ]


def row_table(rows: Sequence[EveryRow]) -> str:
    """One line for each row, and how many of them the alternatives explain."""
    titles = ["Network", "MACs", "Measured on", "Ours is", "Condition", "Published", "`sim`"]
    titles += ["Error", "could be", "Vela", "AXI0 read", "AXI0 write", "AXI1 read"]
    compared = [row for row in rows if row.kind in _COMPARED]
    inside = sum(min(row.ours) <= row.published <= max(row.ours) for row in compared)
    told = f"{inside} of the {len(compared)} published counts of the first three kinds"
    return f"{table(titles, map(_line, rows))}\n\n{told} lie within *could be*."


def _line(row: EveryRow) -> tuple[object, ...]:
    low, high = (end(row.ours) / row.ours[0] - 1 for end in (min, max))
    return (
        row.network,
        row.macs,
        row.measured_on,
        row.kind.value,
        row.condition,
        f"{row.published:,}",
        f"{row.ours[0]:,}",
        f"{row.error:+.1%}",
        f"{low:+.1%} to {high:+.1%}",
        _share(row.vela_error),
        *map(_share, row.beats),
    )


def _share(error: float | None) -> str:
    return "-" if error is None else f"{error:+.1%}"


def without_table(found: Sequence[Without]) -> str:
    """What the other networks would have chosen."""
    titles = ("Left out", "The others choose", "Greatest error then", "now")
    return table(
        titles,
        (
            (each.network, _choice_words(each.choice), f"{each.then:.1%}", f"{each.now:.1%}")
            for each in found
        ),
    )


def _choice_words(choice: int) -> str:
    """In which assumption it differs from what is decided."""
    changed = [
        f"{name} {value}"
        for name, value in vars(CHOICES[choice]).items()
        if value != vars(DECIDED)[name]
    ]
    return ", ".join(changed) or "as now"
