"""How tolerances follow from repeated figures."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.judging.calibration import Pooled, Still, calibrate, expected_alarms
from bench.judging.samples import Sample, Scale
from bench.plan.config import Widths
from bench.plan.metrics import MetricName

RATE = 0.01
PLACE = "shared_sram-sim"
CYCLES, ACCURACY = MetricName.NPU_CYCLES, MetricName.ACCURACY

#: Figures of one cell that differ by some per cent, or not at all.
figures = st.lists(st.floats(900, 1100).map(lambda value: round(value, 3)), min_size=3, max_size=12)

six_runs = figures.map(lambda values: tuple(itertools.islice(itertools.cycle(values), 6)))


def sample(values: tuple[float, ...] | list[float], workload: str = "net") -> Sample:
    return Sample(
        f"{workload}-base-u55_128-shared_sram-sim", workload, "base", PLACE, tuple(values)
    )


def one(metric: MetricName, values: tuple[float, ...] | list[float]) -> Pooled | Still:
    pooled, still = calibrate(metric, [sample(values)], RATE)
    return pooled[0] if pooled else still[0]


def reach(metric: MetricName, values: tuple[float, ...] | list[float]) -> float:
    found = one(metric, values)
    return found.reach if isinstance(found, Pooled) else 0.0


@pytest.mark.parametrize("metric", [CYCLES, ACCURACY])
@given(values=figures, more=st.floats(1.0, 5.0))
def test_more_spread_never_gives_a_narrower_tolerance(
    metric: MetricName, values: list[float], more: float
) -> None:
    # Around the centre of the scale: a ratio has a geometric one.
    if metric is CYCLES:
        centre = math.exp(np.mean(np.log(values)))
        wider = [centre * (value / centre) ** more for value in values]
    else:
        mean = np.mean(values)
        wider = [float(mean + more * (value - mean)) for value in values]
    assert reach(metric, wider) >= reach(metric, values) * (1 - 1e-6)


@given(values=figures, factor=st.floats(1e-3, 1e3))
def test_a_ratio_has_no_unit_and_a_difference_has_that_of_the_figures(
    values: list[float], factor: float
) -> None:
    scaled = [value * factor for value in values]
    assert reach(CYCLES, scaled) == pytest.approx(reach(CYCLES, values), rel=1e-6, abs=1e-9)
    assert reach(ACCURACY, scaled) == pytest.approx(
        factor * reach(ACCURACY, values), rel=1e-6, abs=1e-9 * factor
    )


@given(
    values=st.lists(figures.map(lambda v: tuple((v * 4)[:6])), min_size=1, max_size=5),
    data=st.data(),
)
def test_neither_the_order_of_runs_nor_that_of_cells_matters(
    values: list[tuple[float, ...]], data: st.DataObject
) -> None:
    samples = [
        replace(sample(v, f"net{i % 2}"), cell=f"net{i % 2}-v{i}-x-sim", variant=f"v{i}")
        for i, v in enumerate(values)
    ]
    runs = data.draw(st.permutations(range(6)))
    moved = [replace(s, values=tuple(s.values[i] for i in runs)) for s in samples]
    moved = data.draw(st.permutations(moved))
    before, after = (calibrate(CYCLES, each, RATE)[0] for each in (samples, moved))
    assert [p.patterns for p in before] == [p.patterns for p in after]
    for a, b in zip(before, after, strict=True):
        assert a.reach == pytest.approx(b.reach)


@given(values=figures)
def test_a_proposed_tolerance_is_never_less_than_the_quantile(values: list[float]) -> None:
    for metric in (CYCLES, ACCURACY):
        found = one(metric, values)
        if isinstance(found, Pooled):
            assert found.false_alarms(found.widths) <= RATE * (1 + 1e-9)
            bound = found.widths.relative or found.widths.absolute
            whole = math.expm1(found.reach) if metric is CYCLES else found.reach
            # Two significant digits are not far from it.
            assert whole <= bound <= whole * 1.1001


def alarms(metric: MetricName, runs: int, cells: int, correlated: float, trials: int) -> int:
    """How many of `trials` calibrations let chance alone pass for a change of the first cell."""
    # The same stream each time, so that the outcome is always the same.
    rng = np.random.default_rng([runs, cells, int(10 * correlated)])
    found = 0
    for _ in range(trials):
        shared = rng.normal(size=(1, runs + 2))
        own = rng.normal(size=(cells, runs + 2))
        noise = 0.01 * (math.sqrt(correlated) * shared + math.sqrt(1 - correlated) * own)
        values = 50_000 * np.exp(noise) if metric is CYCLES else 0.9 + noise
        samples = [
            Sample(f"net-v{i}-sim", "net", f"v{i}", PLACE, tuple(row[:runs]))
            for i, row in enumerate(values)
        ]
        pooled, _ = calibrate(metric, samples, 0.05)
        mine = next(p for p in pooled if samples[0] in p.samples)
        relative = metric is CYCLES
        widths = (
            Widths(relative=math.expm1(mine.reach)) if relative else Widths(absolute=mine.reach)
        )
        found += widths.exceeded(*values[0, runs:])
    return found


@pytest.mark.parametrize("metric", [CYCLES, ACCURACY])
@pytest.mark.parametrize(("runs", "cells", "correlated"), [(4, 1, 0.0), (8, 1, 0.0), (6, 4, 1.0)])
def test_normal_figures_reach_the_promised_rate_of_false_alarms(
    metric: MetricName, runs: int, cells: int, correlated: float
) -> None:
    """Within what a binomial count of so many trials does in 999 of 1,000 cases."""
    trials = 400
    count = alarms(metric, runs, cells, correlated, trials)
    spread = math.sqrt(trials * 0.05 * 0.95)
    assert abs(count - trials * 0.05) < 3.3 * spread


@pytest.mark.parametrize("correlated", [0.0, 0.5])
def test_cells_that_are_put_together_alarm_no_more_often(correlated: float) -> None:
    """Degrees of freedom that are too many would show here."""
    trials = 400
    count = alarms(CYCLES, 6, 4, correlated, trials)
    assert count < trials * 0.05 + 3.3 * math.sqrt(trials * 0.05 * 0.95)


def noisy(seed: int, spread: float, n: int = 8) -> tuple[float, ...]:
    return tuple(1000 * np.exp(spread * np.random.default_rng(seed).normal(size=n)))


def test_cells_that_vary_alike_share_a_tolerance_with_more_degrees_of_freedom() -> None:
    samples = [sample(noisy(1, 0.01), "a"), sample(noisy(2, 0.01), "b")]
    (pooled,), still = calibrate(CYCLES, samples, RATE)
    assert not still
    assert pooled.patterns == ("a-*-shared_sram-sim", "b-*-shared_sram-sim")
    assert 7 < pooled.degrees <= 14
    # The same model in two cells says nothing new.
    twins = [samples[0], replace(samples[0], cell="a-base-u55_256-shared_sram-sim")]
    ((pooled,), _) = calibrate(CYCLES, twins, RATE)
    assert pooled.degrees == pytest.approx(7)


def test_cells_that_vary_differently_have_tolerances_of_their_own() -> None:
    samples = [sample(noisy(1, 0.001), "a"), sample(noisy(2, 0.05), "b")]
    pooled, _ = calibrate(CYCLES, samples, RATE)
    assert [p.patterns for p in pooled] == [("a-*-shared_sram-sim",), ("b-*-shared_sram-sim",)]
    assert pooled[0].reach < pooled[1].reach / 5


def test_what_varies_in_one_place_gives_no_tolerance_in_another() -> None:
    """With the weights in SRAM, cycles hardly vary; a board varies where the simulator does not."""
    places = ("shared_sram-mps3", "shared_sram-sim", "sram_only-sim", "sram_only-sim-vela_5_0_0")
    samples = [
        Sample(f"net-base-u55_128-{place}", "net", "base", place, noisy(1, 0.01))
        for place in places
    ]
    pooled, _ = calibrate(CYCLES, samples, RATE)
    assert [p.patterns for p in pooled] == [(f"net-*-{place}",) for place in places]
    for one_pooled, own in zip(pooled, samples, strict=True):
        covered = [s for s in samples if fnmatchcase(s.cell, one_pooled.patterns[0])]
        assert covered == [own]


def test_what_never_varied_gets_no_tolerance_and_no_part_of_anothers() -> None:
    still_one = Sample("net-a-u55_128-shared_sram-sim", "net", "a", PLACE, (5.0,) * 8)
    varying = Sample("net-b-u55_128-shared_sram-sim", "net", "b", PLACE, noisy(1, 0.01))
    (pooled,), (still,) = calibrate(CYCLES, [still_one, varying], RATE)
    assert still.samples == (still_one,)
    assert pooled.patterns == ("net-b-*-shared_sram-sim",)
    assert not any(fnmatchcase(still_one.cell, pattern) for pattern in pooled.patterns)
    # 7 comparisons without a difference: the exact bound of one in three.
    assert still.most_often == pytest.approx(0.348, abs=0.001)


def test_the_tolerance_of_what_varies_is_not_thinned_by_what_does_not() -> None:
    """Three runs are too few for a test to tell them apart."""
    varying = [sample((995.0, 1000.0, 1004.0), workload) for workload in ("a", "b")]
    still_ones = [sample((1000.0,) * 3, workload) for workload in ("c", "d")]
    alone, _ = calibrate(CYCLES, varying, RATE)
    beside, _ = calibrate(CYCLES, [*varying, *still_ones], RATE)
    assert min(p.spread for p in beside) == pytest.approx(alone[0].spread)


def test_power_is_that_of_the_normal_distribution() -> None:
    found = one(CYCLES, noisy(3, 0.01))
    assert isinstance(found, Pooled)
    # At the tolerance itself a change is seen every other time; none is seen as rarely as half of
    # the false alarms, as those are for the worse and for the better.
    widths = Widths(relative=0.05)
    assert found.power(widths, 0.05) == pytest.approx(0.5)
    powers = [found.power(widths, change) for change in (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)]
    assert powers == sorted(powers)
    assert found.power(Widths(relative=0.1), 0.05) < found.power(widths, 0.05)


def test_the_alarms_of_a_run_add_up() -> None:
    found = one(CYCLES, noisy(3, 0.01))
    assert isinstance(found, Pooled)
    assert found.scale is Scale.RELATIVE
    assert expected_alarms([(found, 40)]) == pytest.approx(40 * found.false_alarms(found.widths))


@pytest.mark.parametrize("lengths", [(2, 2), (4, 5)])
def test_too_few_figures_or_uneven_ones_are_refused(lengths: tuple[int, int]) -> None:
    samples = [sample(noisy(i, 0.01, n), f"net{i}") for i, n in enumerate(lengths)]
    with pytest.raises(ValueError, match="figures: each cell needs as many"):
        calibrate(CYCLES, samples, RATE)
