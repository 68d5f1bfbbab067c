"""The timing adapter, against one that serves transaction by transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bench.core.errors import ConfigError
from targets.ethos_u55.memory_modes import MemoryMode
from targets.simulator.timing import PROFILES, PortTiming, TimingProfile, named_profile
from targets.simulator.timing.memory import Channel, channels
from targets.simulator.timing.periods import Periods

BURST = 8


@dataclass(frozen=True)
class Asked:
    """A transfer: cycles after the one before was asked for, and whole transactions."""

    after: int
    bursts: int


def one_by_one(timing: PortTiming, asked: list[Asked]) -> list[float]:
    """When the last beat of each read arrives, every rule applied to every transaction.

    A transaction is accepted when its transfer was asked for, the data lane is free, fewer than
    MAXR are under way, the pulse lets addresses through, and BWCAP has not been reached.
    """
    ends: list[int] = []
    lane, now, used, window = 0, 0, 0, -1
    under_way: list[int] = []
    for each in asked:
        now += each.after
        time = max(now, lane)
        for _ in range(each.bursts):
            time = max(time, lane)
            while True:
                under_way = [end for end in under_way if end > time]
                if timing.maxr and len(under_way) >= timing.maxr:
                    time = min(under_way)
                    continue
                if timing.period:
                    if time // timing.period != window:
                        window, used = time // timing.period, 0
                    capped = timing.bwcap and used >= timing.bwcap
                    if time % timing.period >= timing.pulse_on or capped:
                        time = (time // timing.period + 1) * timing.period
                        continue
                break
            used += BURST
            lane = time + BURST
            under_way.append(time + timing.rlatency + BURST)
        ends.append(lane + timing.rlatency)
    return [float(end) for end in ends]


def read_channel(timing: PortTiming) -> Channel:
    """Reads of a port that nobody writes through."""
    return channels(timing)[0]


def served(timing: PortTiming, asked: list[Asked]) -> list[float]:
    channel, now, ends = read_channel(timing), 0, []
    for each in asked:
        now += each.after
        ends.append(channel.serve(now, each.bursts * BURST, each.bursts).done)
    return ends


transfers = st.lists(
    st.builds(Asked, after=st.integers(0, 2_000), bursts=st.integers(1, 60)),
    min_size=1,
    max_size=6,
)


@st.composite
def adapters(draw: st.DrawFn, outstanding: st.SearchStrategy[int]) -> PortTiming:
    """Periods that leave the transactions of one time to end before the next."""
    latency = draw(st.integers(0, 100))
    if draw(st.booleans()):
        return PortTiming(maxr=draw(outstanding), rlatency=latency)
    return PortTiming(
        maxr=draw(outstanding),
        rlatency=latency,
        pulse_on=draw(st.integers(1, 600)),
        pulse_off=draw(st.integers(latency + BURST, 400)),
        bwcap=draw(st.integers(0, 200)),
    )


@settings(max_examples=150, deadline=None)
@given(adapters(st.sampled_from([0, 1])), transfers)
def test_one_or_unlimited_reads_are_served_as_one_by_one(
    timing: PortTiming, asked: list[Asked]
) -> None:
    assert served(timing, asked) == one_by_one(timing, asked)


@settings(max_examples=300, deadline=None)
@given(adapters(st.integers(2, 63)), st.integers(1, 400))
def test_a_stream_with_several_outstanding_reads_is_served_as_one_by_one(
    timing: PortTiming, bursts: int
) -> None:
    asked = [Asked(0, bursts)]
    assert served(timing, asked) == one_by_one(timing, asked)


@settings(max_examples=300, deadline=None)
@given(adapters(st.integers(2, 63)), transfers)
def test_streams_after_one_another_are_served_as_one_by_one(
    timing: PortTiming, asked: list[Asked]
) -> None:
    # Asked for at once, so that none begins while the places of another are half free.
    together = [replace(each, after=0) for each in asked]
    assert served(timing, together) == one_by_one(timing, together)


@settings(max_examples=300, deadline=None)
@given(adapters(st.integers(2, 63)), transfers)
def test_several_outstanding_reads_differ_by_a_round_and_a_period_at_most(
    timing: PortTiming, asked: list[Asked]
) -> None:
    # A stream that begins while some places of another are still taken is spaced as if they were
    # given back one after another: it may come a round earlier or later, or a pulse.
    slack = timing.rlatency + BURST + timing.period
    pairs = zip(served(timing, asked), one_by_one(timing, asked), strict=True)
    for ours, exact in pairs:
        assert abs(ours - exact) <= slack * len(asked)


def test_the_cap_is_checked_before_each_transaction_not_each_beat() -> None:
    # 50 beats a period let seven transactions of 8 start, 56 beats: the last exceeds the cap.
    flash = PROFILES["u55_high_end"].ext
    channel = read_channel(flash)
    assert channel.serve(0, 7 * 8, 7).accepted < flash.pulse_on
    assert channel.serve(0, 8, 1).start == flash.period
    busy = read_channel(flash).sustained(8 * 7_000, 7_000)
    assert busy == pytest.approx(7_000 * flash.period / 7)


def test_nothing_starts_while_the_pulse_is_off() -> None:
    channel = read_channel(PortTiming(pulse_on=10, pulse_off=90))
    assert channel.serve(5, 1, 1).start == 5
    assert channel.serve(10, 1, 1).start == 100
    assert channel.serve(199, 1, 1).start == 200


def test_an_address_let_through_at_the_end_of_a_pulse_is_served_after_it() -> None:
    channel = read_channel(PortTiming(rlatency=64, pulse_on=10, pulse_off=90))
    assert channel.serve(9, 8, 1).done == 9 + 64 + 8


def test_reads_and_writes_of_a_port_have_lanes_of_their_own() -> None:
    reads, writes = channels(PROFILES["u55_high_end"].sram)
    reads.serve(0, 8 * 400, 400)
    assert writes.serve(0, 8, 1).start == 0


def test_reads_and_writes_of_a_port_share_its_cap() -> None:
    timing = PROFILES["u55_high_end"].sram
    for first, second in (channels(timing), reversed(channels(timing))):
        # 4,000 beats a period: 300 transactions leave room for 200, wherever in it they come.
        first.serve(1500, 8 * 300, 300)
        assert second.serve(0, 8 * 200, 200).accepted < timing.period
        assert second.serve(0, 8, 1).start == timing.period


@given(st.integers(1, 60), st.integers(0, 3000), st.integers(1, 60), st.integers(0, 3000))
def test_no_period_serves_more_than_its_cap(
    reads: int, asked: int, writes: int, later: int
) -> None:
    timing = PortTiming(pulse_on=80, pulse_off=20, bwcap=40)
    periods = Periods(timing)
    Channel(latency=5, limit=0, periods=periods).serve(asked, 8 * reads, reads)
    Channel(latency=7, limit=0, periods=periods).serve(later, 8 * writes, writes)
    used = [periods.used(period) for period in range(200)]
    assert sum(used) == 8 * (reads + writes)
    assert max(used) <= 40


def test_what_a_stream_has_to_itself_is_remembered_for_the_other_direction() -> None:
    timing = PortTiming(pulse_on=80, pulse_off=20, bwcap=40)
    read, write = channels(timing)
    # Five transactions of 8 beats a period: a hundred periods are full, and one holds one.
    read.serve(0, 8 * 501, 501)
    assert write.serve(5000, 8, 1).start == 100 * 100
    assert write.serve(5000, 8 * 3, 3).accepted < 101 * 100


def test_what_is_spread_over_time_uses_the_periods_it_falls_into() -> None:
    periods = Periods(PortTiming(pulse_on=80, pulse_off=20))
    periods.spread(50, 250, 40)
    assert [periods.used(period) for period in range(4)] == [10, 20, 10, 0]
    periods.spread(60, 60, 40)
    assert periods.used(0) == 10, "nothing moves in no time"


def test_maxrw_limits_where_maxr_and_maxw_do_not() -> None:
    slow = read_channel(PortTiming(maxrw=1, rlatency=50))
    assert slow.serve(0, 80, 10).accepted == 9 * (50 + 8)
    both = read_channel(PortTiming(maxr=4, maxrw=1, rlatency=50))
    assert both.serve(0, 80, 10).accepted == 9 * (50 + 8)


def test_waits_to_be_accepted_are_counted() -> None:
    channel = read_channel(PortTiming(maxr=1, rlatency=20))
    channel.serve(0, 8, 1)
    assert channel.stalled == 0
    channel.serve(0, 16, 2)
    assert channel.stalled > 0


@settings(max_examples=150, deadline=None)
@given(
    adapters(st.integers(1, 16)),
    st.integers(1, 500),
    st.sampled_from(["rlatency", "maxr", "bwcap", "pulse_off"]),
)
def test_a_slower_adapter_never_serves_a_stream_sooner(
    timing: PortTiming, bursts: int, what: str
) -> None:
    # A cap of 0 is none, which is not slower; nor is there a cap without a period.
    changes = {
        "rlatency": timing.rlatency + 13,
        "maxr": max(1, timing.maxr - 1),
        "bwcap": max(1, timing.bwcap - 20) if timing.period else 0,
        "pulse_off": timing.pulse_off + 50 if timing.period else 0,
    }
    slower = timing.model_copy(update={what: changes[what]})
    fast, slow = read_channel(timing), read_channel(slower)
    assert slow.serve(0, bursts * BURST, bursts).done >= fast.serve(0, bursts * BURST, bursts).done


@given(st.integers(0, 5_000), st.integers(1, 40), st.integers(0, 300))
def test_the_ideal_memory_takes_a_cycle_a_beat(ready: int, bursts: int, later: int) -> None:
    channel = read_channel(PortTiming())
    assert channel.serve(ready, bursts * 8, bursts).done == ready + bursts * 8
    assert channel.serve(ready + later, 8, 1).start == max(ready + later, ready + bursts * 8)


def test_nothing_to_move_takes_no_time() -> None:
    channel = read_channel(PROFILES["u55_high_end"].ext)
    assert channel.serve(1234, 0, 0).done == 1234
    assert channel.sustained(0, 0) == 0


def test_sram_only_puts_the_sram_behind_both_ports() -> None:
    profile = named_profile("u55_high_end")
    assert profile.port(1, MemoryMode.SRAM_ONLY) == profile.sram
    assert profile.port(1, MemoryMode.SHARED_SRAM) == profile.ext
    assert profile.port(0, MemoryMode.SHARED_SRAM) == profile.sram


def test_an_unknown_profile_and_an_impossible_register_are_refused() -> None:
    with pytest.raises(ConfigError, match="u55_high_end"):
        named_profile("u55_high")
    with pytest.raises(ValidationError):
        PortTiming(rlatency=4096)


@pytest.mark.parametrize("memory", ["sram", "ext"])
def test_a_memory_that_lets_no_address_pass_is_refused(memory: str) -> None:
    """Its estimate would never end."""
    ports = {"sram": PortTiming(), "ext": PortTiming()}
    with pytest.raises(ValidationError, match=f"{memory}\n.*pulse_on 0 with pulse_off 7"):
        TimingProfile.model_validate({**ports, memory: PortTiming(pulse_off=7, bwcap=3)})
    assert TimingProfile.model_validate({**ports, memory: PortTiming(pulse_on=1, pulse_off=7)})
