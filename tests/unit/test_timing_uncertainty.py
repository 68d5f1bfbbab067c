"""What an estimate leaves undecided, and for what nobody has published figures."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.artefact.stream.operations import BlockOperation, DataType, Operation
from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.ports import PortMap
from targets.simulator.evidence import unsupported
from targets.simulator.timing import PROFILES, PortTiming, TimingProfile, estimate
from targets.simulator.timing.assumptions import ALTERNATIVES, DECIDED
from targets.simulator.timing.uncertainty import starts, uncertainty
from targets.simulator.timing.work import NetworkWork, network_work
from targets.simulator.traffic.network import network_traffic
from tests.support.streams.block_operations import POINT, block_operations, conv, feature_map
from tests.support.streams.placing import WORDS, stream

MODE = MemoryMode.SHARED_SRAM
HIGH_END = PROFILES["u55_high_end"]
UNTIMED = TimingProfile(sram=PortTiming(), ext=PortTiming())

streams = st.lists(block_operations(), min_size=1, max_size=5)


def work_of(operations: list[BlockOperation], macs: int = 128) -> NetworkWork:
    traffic = network_traffic(stream(operations), WORDS * len(operations) + 1, PortMap())
    return network_work(traffic, macs)


@settings(max_examples=30, deadline=None)
@given(streams, st.sampled_from((32, 64, 128, 256)), st.sampled_from(list(MemoryMode)))
def test_the_range_holds_the_estimate_and_every_alternative(
    operations: list[BlockOperation], macs: int, mode: MemoryMode
) -> None:
    work = work_of(operations, macs)
    decided = estimate(work, mode, HIGH_END).npu_active
    found = uncertainty([work], mode, HIGH_END, decided)
    others = [
        estimate(network_work(work.traffic, macs, each), mode, HIGH_END).npu_active
        for each in ALTERNATIVES
    ]
    others += [
        estimate(work, mode, HIGH_END, start=start).npu_active for start in starts(mode, HIGH_END)
    ]
    assert found.low == min(decided, *others)
    assert found.high == max(decided, *others)


def test_no_alternative_is_what_was_decided_and_each_changes_one_choice() -> None:
    for each in ALTERNATIVES:
        changed = [name for name, value in vars(each).items() if value != vars(DECIDED)[name]]
        assert len(changed) == 1, each
    assert {name for each in ALTERNATIVES for name in vars(each)} == set(vars(DECIDED))


@settings(max_examples=30, deadline=None)
@given(streams)
def test_a_whole_number_of_periods_later_everything_takes_as_long(
    operations: list[BlockOperation],
) -> None:
    # The SRAM's period is ten of the flash's.
    work = work_of(operations)
    now, later = (estimate(work, MODE, HIGH_END, start=start) for start in (0, 8000))
    assert later.npu_active == now.npu_active
    for one, other in zip(now.operations, later.operations, strict=True):
        assert other.start == pytest.approx(one.start + 8000)
        assert other.waits.dependency == pytest.approx(one.waits.dependency)


def test_without_adapters_it_does_not_matter_when_the_npu_starts() -> None:
    assert starts(MODE, UNTIMED) == ()
    assert set(starts(MODE, HIGH_END)) == {100.0, 200.0, 300.0, 2000.0}
    assert set(starts(MemoryMode.SRAM_ONLY, HIGH_END)) == {1000.0, 2000.0, 3000.0}


def int8() -> list[Operation]:
    return stream([conv(feature_map(8, 8, 16), feature_map(8, 8, 16), (8, 8, 16), POINT)])


def int16() -> list[Operation]:
    ifm, ofm = (feature_map(8, 8, 16, dtype=DataType.INT16) for _ in range(2))
    return stream([conv(ifm, ofm, (8, 8, 16), POINT)])


def test_only_what_others_have_published_is_supported() -> None:
    assert unsupported(int8(), MODE, HIGH_END, "default") == ()
    assert unsupported(int16(), MODE, HIGH_END, "default") == ("int16",)
    found = unsupported(int16(), MemoryMode.SRAM_ONLY, UNTIMED, "slow")
    assert found == ("int16", "Sram_Only", "timing slow")
