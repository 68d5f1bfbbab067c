"""The MAC sweep: what counts as starved, and who is named as the cause."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.judging.sweep import classify, scaling_efficiency
from bench.plan.config import SweepConfig
from bench.records.binding import CellBinding
from targets.ethos_u55.accelerators import Accelerator

CONFIG = SweepConfig()
ARTICLE_BASE = {Accelerator.U55_32: 94_000, Accelerator.U55_256: 91_000}


def bound(**shares: float) -> dict[Accelerator, CellBinding]:
    return {macs: CellBinding(shares) for macs in Accelerator}


def test_cycles_that_do_not_fall_with_flash_binding_are_memory_bound() -> None:
    result = classify(ARTICLE_BASE, bound(flash=0.9, compute=0.1), CONFIG)
    assert result.binding == "memory"
    assert result.memory == "flash"
    assert "94,000 -> 91,000 cycles" in result.reason


def test_cycles_that_do_not_fall_without_memory_are_overhead() -> None:
    result = classify(ARTICLE_BASE, bound(compute=0.8, sram=0.2), CONFIG)
    assert (result.binding, result.memory) == ("overhead", "")


def test_published_kws_micronet_m_scales_with_the_macs() -> None:
    # Published FVP rows: 1,415,272 / 729,107 / 404,092 / 243,666 cycles.
    cycles = dict(zip(Accelerator, (1_415_272, 729_107, 404_092, 243_666), strict=True))
    result = classify(cycles, bound(compute=1.0), CONFIG)
    assert result.binding == "compute"
    assert 0.7 < result.efficiency < 0.75


def test_published_rnnoise_does_not() -> None:
    cycles = dict(zip(Accelerator, (111_737, 108_557, 105_087, 104_364), strict=True))
    assert classify(cycles, bound(flash=1.0), CONFIG).binding == "memory"


@given(st.integers(1_000, 10**9), st.sampled_from([(32, 64), (32, 256), (128, 256)]))
def test_perfect_scaling_has_efficiency_one(cycles: int, pair: tuple[int, int]) -> None:
    small, large = map(Accelerator, pair)
    ratio = large // small
    assert scaling_efficiency({small: cycles * ratio, large: cycles}) == 1.0
    assert scaling_efficiency({small: cycles, large: cycles}) == 1 / ratio


@given(
    st.dictionaries(st.sampled_from(["compute", "sram", "flash"]), st.floats(0.01, 1), min_size=1)
)
def test_memory_share_excludes_arithmetic(shares: dict[str, float]) -> None:
    binding = CellBinding(shares)
    rest = sum(v for k, v in shares.items() if k != "compute")
    assert binding.memory_share == rest
    assert (binding.memory == "") == (set(shares) == {"compute"})


def test_sweep_and_layers_that_disagree_are_told_of_in_both_directions() -> None:
    falling = dict(zip(Accelerator, (400_000, 220_000, 120_000, 70_000), strict=True))
    still_falling = classify(falling, bound(flash=0.7, compute=0.3), CONFIG)
    assert still_falling.binding == "compute"
    assert "the cycles still fall, yet by its layers memory binds 70%" in still_falling.reason
    starved = classify(ARTICLE_BASE, bound(compute=0.8, flash=0.2), CONFIG)
    assert starved.binding == "overhead"
    assert "the cycles do not fall, yet by its layers arithmetic binds 80%" in starved.reason
    assert starved.disagreement in starved.reason


def test_sweep_and_layers_that_agree_are_not_said_to_disagree() -> None:
    flash = classify(ARTICLE_BASE, bound(flash=0.9, compute=0.1), CONFIG)
    # The decoder and waits are no arithmetic that more MACs could speed up.
    others = {macs: CellBinding({"weight decode": 0.7, "latency": 0.3}) for macs in Accelerator}
    overhead = classify(ARTICLE_BASE, others, CONFIG)
    falling = {Accelerator.U55_32: 400_000, Accelerator.U55_256: 70_000}
    compute = classify(falling, bound(compute=0.9, flash=0.1), CONFIG)
    assert [r.disagreement for r in (flash, overhead, compute)] == ["", "", ""]
    assert "disagree" not in flash.reason + overhead.reason + compute.reason


def test_the_reason_says_what_kind_of_cycles_they_are() -> None:
    result = classify(ARTICLE_BASE, bound(flash=1.0), CONFIG, " (estimate; Vela's: 99 -> 98)")
    assert "94,000 -> 91,000 cycles (estimate; Vela's: 99 -> 98) from 32" in result.reason
