"""The cycle model on operations made by hand: physics that must hold whatever the figures."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bench.core.errors import ConfigError
from targets.artefact.stream.operations import (
    BlockOperation,
    Conv,
    Depthwise,
    FlashRange,
)
from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.pmu_events import EVENT_NUMBERS
from targets.ethos_u55.ports import PortMap
from targets.simulator.timing import PROFILES, Bound, NetworkTiming, estimate
from targets.simulator.timing.assumptions import DECIDED, Assumptions
from targets.simulator.timing.engines import Engines
from targets.simulator.timing.events import _MEANINGS, _REASONS, Event, Fidelity, pmu_events
from targets.simulator.timing.work import block_work, network_work
from targets.simulator.traffic.network import network_traffic, operation_traffic
from tests.support.streams.block_operations import POINT, block_operations, conv, feature_map
from tests.support.streams.placing import WORDS, stream

MACS = (32, 64, 128, 256)
MODE = MemoryMode.SHARED_SRAM
HIGH_END = PROFILES["u55_high_end"]

streams = st.lists(block_operations(), min_size=1, max_size=5)


def timed(
    operations: list[BlockOperation],
    macs: int = 128,
    name: str = "u55_high_end",
    assumptions: Assumptions = DECIDED,
) -> NetworkTiming:
    traffic = network_traffic(stream(operations), WORDS * len(operations) + 1, PortMap())
    return estimate(network_work(traffic, macs, assumptions), MODE, PROFILES[name])


def dense(inputs: int, outputs: int, encoded: int) -> Conv:
    """A fully-connected layer whose weights take `encoded` bytes."""
    layer = conv(feature_map(1, 1, inputs), feature_map(1, 1, outputs), (1, 1, outputs), POINT)
    return replace(layer, weights=FlashRange(0, 0x1000, encoded))


@settings(max_examples=40, deadline=None)
@given(streams, st.sampled_from(MACS), st.sampled_from(sorted(PROFILES)))
def test_traffic_is_conserved_between_blocks_operations_and_totals(
    operations: list[BlockOperation], macs: int, name: str
) -> None:
    timing = timed(operations, macs, name)
    traffic = network_traffic(stream(operations), WORDS * len(operations) + 1, PortMap())
    for port, beats in enumerate(timing.beats):
        assert beats.read == traffic.counters[f"AXI{port}_RD_DATA_BEAT_RECEIVED"]
        assert beats.written == traffic.counters[f"AXI{port}_WR_DATA_BEAT_WRITTEN"]
        assert beats.read_bursts <= beats.read <= 8 * beats.read_bursts
        assert beats.written_bursts <= beats.written <= 8 * beats.written_bursts
    for operation in operations:
        flows = operation_traffic(operation, PortMap())
        work = block_work(flows, macs)
        reads = sum(sum(moves.beats) for moves in work.reads)
        assert reads == pytest.approx(sum(f.beats for f in flows.flows if f.stream.value != "ofm"))
        assert sum(work.ofm.beats) == flows.flows[-1].beats


@settings(max_examples=40, deadline=None)
@given(streams, st.sampled_from(MACS), st.sampled_from(sorted(PROFILES)))
def test_time_passes_forwards_and_is_charged_once(
    operations: list[BlockOperation], macs: int, name: str
) -> None:
    timing = timed(operations, macs, name)
    assert sum(row.total for row in timing.operations) == pytest.approx(
        max(row.end for row in timing.operations)
    )
    issued = 0.0
    for row in timing.operations:
        assert row.total >= 0
        assert all(wait >= 0 for wait in vars(row.waits).values())
        if isinstance(row.operation, BlockOperation):
            assert row.start >= issued
            issued = row.start
            # Nothing is done faster than its engines can.
            assert row.end - row.start >= max(row.mac, row.output) - 1e-6
            for span in row.spans:
                assert 0 <= span.start <= span.end <= row.end + 1e-6


@settings(max_examples=40, deadline=None)
@given(streams, st.sampled_from(MACS))
def test_the_engines_are_never_busier_than_the_npu(
    operations: list[BlockOperation], macs: int
) -> None:
    events = values(timed(operations, macs))
    active = events["NPU_ACTIVE"]
    stalls = sum(events[f"MAC_STALLED_BY_{cause}"] for cause in ("WD", "ACC", "IB"))
    # Each is rounded by itself.
    slack = 4
    assert events["MAC_ACTIVE"] + stalls <= active + slack
    assert events["AO_ACTIVE"] <= active + slack
    assert events["MAC_ACTIVE_8BIT"] + events["MAC_ACTIVE_16BIT"] <= events["MAC_ACTIVE"] + slack
    assert events["AO_ACTIVE_8BIT"] + events["AO_ACTIVE_16BIT"] <= events["AO_ACTIVE"] + slack
    assert events["WD_ACTIVE"] <= events["MAC_ACTIVE"] + slack
    assert events["WD_STALLED_BY_WS"] == events["MAC_STALLED_BY_WD"]
    for port in (0, 1):
        assert events[f"AXI{port}_RD_DATA_BEAT_RECEIVED"] <= active
        assert events[f"AXI{port}_WR_DATA_BEAT_WRITTEN"] <= active
        for way in ("RD", "WR"):
            accepted = events[f"AXI{port}_{way}_TRANS_ACCEPTED"]
            done = "COMPLETED" if way == "RD" else "COMPLETED_M"
            assert accepted == events[f"AXI{port}_{way}_TRANS_{done}"]


def values(timing: NetworkTiming) -> dict[str, int]:
    return {event.name: event.value for event in pmu_events(timing) if event.value is not None}


def test_every_event_of_the_pmu_is_told_of_with_its_kind() -> None:
    events = pmu_events(timed([dense(64, 32, 1024)]))
    assert {event.name: event.number for event in events} == EVENT_NUMBERS
    for event in events:
        _assert_whole(event)
    exact = {event.name for event in events if event.fidelity is Fidelity.EXACT}
    assert exact == {
        f"AXI{port}_{tail}"
        for port in (0, 1)
        for tail in ("RD_DATA_BEAT_RECEIVED", "WR_DATA_BEAT_WRITTEN")
    }
    # What depends on the host is not made up: NPU_IDLE is not 0, nor CYCLE equal to NPU_ACTIVE.
    missing = {event.name for event in events if event.value is None}
    assert {"CYCLE", "NPU_IDLE"} <= missing
    # Nothing is said of what is no event.
    assert missing == _REASONS.keys()
    assert EVENT_NUMBERS.keys() - missing == _MEANINGS.keys()


def _assert_whole(event: Event) -> None:
    """A value and what it means, or none and why; never a 0 in place of a reason."""
    if event.fidelity is Fidelity.NOT_MODELLED:
        assert event.value is None
        assert event.reason
        assert not event.meaning
    else:
        assert event.value is not None
        assert event.meaning
        assert not event.reason


@settings(max_examples=60, deadline=None)
@given(block_operations(), st.integers(1, 6), st.integers(1, 6), st.integers(1, 8))
def test_more_macs_take_no_longer_for_a_block(
    operation: BlockOperation, height: int, width: int, channels: int
) -> None:
    # Whole micro-blocks of 8 channels: a part of one is decoded like a whole one, and the smallest
    # NPU's has only 4. Where a step is one micro-block the next waits for its accumulator, 2 cycles
    # in 32. Pools are another matter: the smallest NPU takes a cycle a tap for them, others four.
    assume(isinstance(operation, (Conv, Depthwise)))
    size = height, width, 8 * channels
    blocks = [Engines(operation, macs).block(*size) for macs in MACS]
    for fewer, more in pairwise(blocks):
        assert more.mac <= fewer.mac * (1 + 2 / 32)
        assert more.output <= fewer.output


@settings(max_examples=50, deadline=None)
@given(streams, st.sampled_from(MACS))
def test_a_slower_memory_is_never_faster(operations: list[BlockOperation], macs: int) -> None:
    ideal = timed(operations, macs, "ideal").npu_active
    assert ideal <= timed(operations, macs).npu_active + 1
    assert (
        timed(operations, macs).npu_active
        <= timed(operations, macs, "u55_deep_embedded").npu_active + 1
    )


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 24), st.integers(1, 24), st.integers(16, 8_000), st.integers(0, 4_000),
    st.sampled_from(MACS),
)  # fmt: skip
def test_larger_weight_streams_take_no_less_time(
    inputs: int, outputs: int, encoded: int, more: int, macs: int
) -> None:
    small = dense(32 * inputs, 8 * outputs, encoded)
    large = replace(small, weights=FlashRange(0, 0x1000, encoded + more))
    # A part of a burst costs as much cap as a whole one only to the end of the period.
    slack = HIGH_END.ext.period
    assert timed([small], macs).npu_active <= timed([large], macs).npu_active + slack


@pytest.mark.parametrize("macs", MACS)
def test_a_layer_without_encoded_weights_is_compute_bound(macs: int) -> None:
    layer = dense(784, 128, 90_000)
    full = timed([layer], macs)
    assert full.operations[0].bound_by is Bound.FLASH
    work = network_work(network_traffic(stream([layer]), WORDS + 1, PortMap()), macs)
    bounds = []
    cycles = []
    for share in (1.0, 0.5, 0.2, 0.05, 0.0):
        timing = estimate(work, MODE, HIGH_END, {0: share})
        bounds.append(timing.operations[0].bound_by)
        cycles.append(timing.npu_active)
    assert bounds[0] is Bound.FLASH
    assert bounds[-1] in (Bound.COMPUTE, Bound.WEIGHT_DECODE)
    # Once compute-bound, always compute-bound; and never slower.
    changes = sum(one is not other for one, other in pairwise(bounds))
    assert changes == 1
    assert cycles == sorted(cycles, reverse=True)


def test_weights_of_their_full_size_change_nothing() -> None:
    layer = dense(784, 128, 90_000)
    work = network_work(network_traffic(stream([layer]), WORDS + 1, PortMap()), 128)
    assert estimate(work, MODE, HIGH_END, {0: 1.0}).npu_active == timed([layer]).npu_active


def test_flash_bound_time_is_beats_times_the_caps_pace() -> None:
    layer = dense(784, 128, 90_000)
    beats = operation_traffic(layer, PortMap()).counters["AXI1_RD_DATA_BEAT_RECEIVED"]
    # Seven bursts of 8 beats in each period of 400 cycles; what surrounds it is a few hundred.
    assert timed([layer]).npu_active == pytest.approx(beats * 400 / 56, rel=0.01)


@settings(max_examples=40, deadline=None)
@given(streams)
def test_an_operation_starts_when_the_one_before_has_ended_and_the_engines_have_filled(
    operations: list[BlockOperation],
) -> None:
    blocks = [
        row for row in timed(operations).operations if isinstance(row.operation, BlockOperation)
    ]
    for before, after in pairwise(blocks):
        assert after.start >= before.end + DECIDED.restart - 1e-6


def test_what_waits_for_an_operation_costs_a_restart_each_time() -> None:
    # Of one block and little to fetch, so that nothing hides it.
    small = conv(feature_map(4, 4, 16), feature_map(4, 4, 16), (4, 4, 16), POINT)
    chain: list[BlockOperation] = [small] * 5
    quick = timed(chain, assumptions=replace(DECIDED, restart=0))
    slow = timed(chain, assumptions=replace(DECIDED, restart=500))
    assert slow.npu_active - quick.npu_active == pytest.approx(4 * 500, abs=HIGH_END.ext.period)


def test_where_two_may_be_under_way_blockdep_decides() -> None:
    large = conv(feature_map(64, 16, 32), feature_map(64, 16, 32), (8, 16, 32), POINT)
    free, bound = (
        replace(large, block=replace(large.block, blockdep=blockdep)) for blockdep in (3, 0)
    )
    two = replace(DECIDED, under_way=2)
    overlapping = timed([large, free], assumptions=two)
    waiting = timed([large, bound], assumptions=two)
    assert overlapping.operations[1].start < overlapping.operations[0].end
    assert waiting.operations[1].start >= waiting.operations[0].end + two.restart
    assert overlapping.npu_active < waiting.npu_active
    # As decided, it makes no difference.
    assert timed([large, free]).npu_active == timed([large, bound]).npu_active


def test_another_mac_count_is_refused() -> None:
    with pytest.raises(ConfigError, match="512 MACs"):
        network_work(network_traffic((), 0, PortMap()), 512)
