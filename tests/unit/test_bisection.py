"""The search over versions: what it finds, what it measures, what it remembers."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.compiler.lock_files import shipped_locks
from bench.core.errors import BenchError
from bench.history.bisect import Measured, bisect, read_memory
from bench.history.bisection import Outcome, Search, is_bad
from bench.history.vela_versions import versions_between
from bench.plan.metrics import MetricName
from bench.records.figures import Absent, Number

CYCLES = MetricName.NPU_CYCLES


def searched(first_bad: int, last: int, broken: frozenset[int]) -> tuple[Search, int]:
    """The end of a search over a history of `last + 1`, and its measurements between the ends."""
    search, measurements = Search(last, {}), 0
    while (position := search.next_position()) is not None:
        assert 0 < position < last
        assert position not in search.outcomes
        measurements += 1
        if position in broken:
            search = search.after(position, Outcome.UNKNOWN)
        else:
            bad = position >= first_bad
            search = search.after(position, Outcome.BAD if bad else Outcome.GOOD)
    return search, measurements


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, int, frozenset[int]]:
    last = draw(st.integers(1, 300))
    first_bad = draw(st.integers(1, last))
    between = st.integers(1, max(1, last - 1))
    runs = draw(st.lists(st.tuples(between, st.integers(1, 40)), max_size=6))
    broken = {at for first, length in runs for at in range(first, first + length)}
    return first_bad, last, frozenset(at for at in broken if 0 < at < last)


@given(histories())
def test_any_monotone_history_gives_the_smallest_honest_interval(
    history: tuple[int, int, frozenset[int]],
) -> None:
    first_bad, last, broken = history
    search, measurements = searched(first_bad, last, broken)
    assert search.last_good < first_bad <= search.first_bad
    # What is left between them cannot be measured, all of it, and nothing else is left.
    between = range(search.last_good + 1, search.first_bad)
    assert set(between) <= broken
    assert search.unknown == [*between]
    assert measurements <= math.log2(last) + 1 + 2 * len(broken)


@given(st.integers(1, 100_000), st.data())
def test_a_search_without_obstacles_is_logarithmic(last: int, data: st.DataObject) -> None:
    first_bad = data.draw(st.integers(1, last))
    search, measurements = searched(first_bad, last, frozenset())
    assert (search.last_good, search.first_bad) == (first_bad - 1, first_bad)
    assert measurements <= math.log2(last) + 1


def test_a_long_broken_stretch_is_jumped_over() -> None:
    """The neighbours of what is broken are, too: not each of them is tried."""
    search, measurements = searched(900, 1000, frozenset(range(300, 800)))
    assert (search.last_good, search.first_bad) == (899, 900)
    assert measurements < 16


FIGURES = st.floats(-1e9, 1e9, allow_nan=False)


@given(FIGURES, FIGURES, FIGURES, FIGURES)
def test_nearness_decides_and_is_monotone(good: float, bad: float, one: float, two: float) -> None:
    if good == bad:
        return
    assert not is_bad(good, good, bad)
    assert is_bad(bad, good, bad)
    nearer, further = sorted((one, two), reverse=bad < good)
    assert is_bad(further, good, bad) or not is_bad(nearer, good, bad)


@dataclass
class Figures:
    """A row of versions whose figures are known; None: it cannot be measured."""

    figures: tuple[float | None, ...]
    names: tuple[str, ...] = ()
    measured: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = tuple(f"v{i}" for i in range(len(self.figures)))

    def title(self, position: int) -> str:
        return f"version {self.names[position]}"

    def measure(self, position: int) -> Measured:
        self.measured.append(position)
        figure = self.figures[position]
        if figure is None:
            return Measured(figure=Absent(reason="it does not build"))
        return Measured(figure=Number(value=figure, unit="cycles"), run=f"run{position}")


def test_the_search_tells_each_step_and_its_rule(tmp_path: Path) -> None:
    row = Figures((100, 100, 101, None, 160, 200, 200, 200))
    told: list[str] = []
    finding = bisect(row, CYCLES, read_memory(tmp_path / "m.json", "c", CYCLES), told.append)
    assert (finding.last_good, finding.first_bad, finding.unknown) == (2, 4, (3,))
    assert (finding.good.run, finding.bad.run) == ("run2", "run4")
    text = "\n".join(told)
    assert "at least 150 cycles, halfway from good to bad" in text
    assert "version v3: cannot be measured: it does not build" in text
    assert len(told) == len(row.measured) + 1


def test_a_stopped_search_goes_on_and_measures_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "m.json"

    class Stopped(Figures):
        def measure(self, position: int) -> Measured:
            if len(self.measured) == 3:
                raise KeyboardInterrupt
            return super().measure(position)

    figures = (1.0,) * 20 + (2.0,) * 30
    first = Stopped(figures)
    with pytest.raises(KeyboardInterrupt):
        bisect(first, CYCLES, read_memory(path, "c", CYCLES), lambda _: None)
    second = Figures(figures)
    finding = bisect(second, CYCLES, read_memory(path, "c", CYCLES), lambda _: None)
    assert finding.first_bad == 20
    assert not set(first.measured) & set(second.measured)
    third = Figures(figures)
    told: list[str] = []
    assert bisect(third, CYCLES, read_memory(path, "c", CYCLES), told.append) == finding
    assert third.measured == []
    assert sum("(measured before)" in line for line in told) == len(told) - 1


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ((1.0, 2.0, 1.0), "nothing changed between them"),
        ((None, 2.0, 1.0), "the good version version v0 cannot be measured: it does not build"),
        ((1.0, 2.0, None), "the bad version version v2 cannot be measured: it does not build"),
    ],
)
def test_ends_that_say_nothing_are_an_error(
    tmp_path: Path, figures: tuple[float | None, ...], words: str
) -> None:
    with pytest.raises(BenchError, match=words):
        bisect(Figures(figures), CYCLES, read_memory(tmp_path / "m", "c", CYCLES), lambda _: None)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"cell": "c"}', '{"cell": "c", "metric": "npu_cycles", "versions": {"a": 1}}'],
)
def test_a_damaged_memory_is_an_error_with_its_cure(tmp_path: Path, content: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BenchError, match=f"remove {path} to begin again"):
        read_memory(path, "c", CYCLES)


def test_the_memory_of_another_search_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    read_memory(path, "c", CYCLES).note("a", Measured(figure=Absent(reason="r")))
    assert json.loads(path.read_text(encoding="utf-8"))["versions"]["a"]["figure"]["reason"] == "r"
    with pytest.raises(BenchError, match="is that of c and npu_cycles"):
        read_memory(path, "d", CYCLES)


def test_versions_of_vela_stand_in_their_order() -> None:
    known = [*shipped_locks()]
    assert known == ["4.4.1", "4.5.0", "5.0.0", "5.1.0", "5.2.0"]
    assert versions_between("5.0.0", "5.2.0", {}) == ("5.0.0", "5.1.0", "5.2.0")
    assert versions_between("5.2.0", "5.0.0", {}) == ("5.2.0", "5.1.0", "5.0.0")
    own = {name: Path(name) for name in ("5.10.0", "5.9.0", "5.10.0rc2", "5.10.0rc10")}
    assert versions_between("5.2.0", "5.10.0", own) == (
        *("5.2.0", "5.9.0", "5.10.0rc2", "5.10.0rc10", "5.10.0"),
    )
    for good, bad in (("5.0.0", "9.9.9"), ("5.0.0", "5.0.0"), ("", "5.0.0")):
        with pytest.raises(BenchError):
            versions_between(good, bad, {})
