"""The events of the NPU's performance monitoring unit, as an estimate gives them.

Names and numbers are Arm's (`ethosu55_interface.h` of the core driver; CMSIS names without the
prefix `ETHOSU_PMU_`). Each event says how it was come by. What the model does not know is
unavailable, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from targets.artefact.stream.operations import BlockOperation, Elementwise
from targets.simulator.timing.results import NetworkTiming, OperationTiming

__all__ = ["Event", "Fidelity", "pmu_events"]


class Fidelity(str, Enum):
    """How an event's value was come by."""

    #: Counted, by rules that meet the published counts of `kws_micronet_m` beat for beat.
    EXACT = "exact"
    #: Estimated by the cycle model.
    MODELLED = "modelled"
    #: Unavailable.
    NOT_MODELLED = "not modelled"


@dataclass(frozen=True)
class Event:
    """One event. `value` is None exactly if it is not modelled; `reason` then says why."""

    name: str
    number: int
    fidelity: Fidelity
    value: int | None
    reason: str = ""
    #: What the model counts under it; empty exactly if it is not modelled.
    meaning: str = ""


_HOST = "depends on the host: how soon the CPU starts the NPU and sees its interrupt"
_UNPUBLISHED = "nothing is published about what exactly it counts"
_INSIDE = "it counts inside an engine the model takes as a whole"
_COMBINED = "it counts causes that overlap, which the model keeps apart"
_SHRAM = "reconfigurations of SHRAM are not modelled"
_ENABLED = "depends on the clock gating of the AXI interface"
_LATENCIES = "latencies are modelled on average, not per transaction"
_ECC = "only counts hardware faults"

_UNAVAILABLE = {
    ("CYCLE", 17): _HOST,
    ("NPU_IDLE", 32): _HOST,
    ("CC_STALLED_ON_SHRAM_RECONFIG", 34): _SHRAM,
    ("MAC_DPU_ACTIVE", 51): _INSIDE,
    ("MAC_STALLED_BY_WD_ACC", 52): _COMBINED,
    ("MAC_ACTIVE_32BIT", 56): _UNPUBLISHED,
    ("MAC_STALLED_BY_INT_W", 57): _INSIDE,
    ("MAC_STALLED_BY_INT_ACC", 58): _INSIDE,
    ("AO_STALLED_BY_OFMP_OB", 67): _COMBINED,
    ("AO_STALLED_BY_OB", 69): _INSIDE,
    ("AO_STALLED_BY_ACC_IB", 70): _COMBINED,
    ("WD_STALLED", 81): _COMBINED,
    ("WD_STALLED_BY_WD_BUF", 83): _INSIDE,
    ("WD_PARSE_ACTIVE", 84): _INSIDE,
    ("WD_PARSE_STALLED", 85): _INSIDE,
    ("WD_PARSE_STALLED_IN", 86): _INSIDE,
    ("WD_PARSE_STALLED_OUT", 87): _INSIDE,
    ("WD_TRANS_WS", 88): _UNPUBLISHED,
    ("WD_TRANS_WB", 89): _UNPUBLISHED,
    ("WD_TRANS_DW0", 90): _UNPUBLISHED,
    ("WD_TRANS_DW1", 91): _UNPUBLISHED,
    ("AXI_LATENCY_ANY", 160): _LATENCIES,
    **{(f"AXI_LATENCY_{32 << i}", 161 + i): _LATENCIES for i in range(6)},
    ("ECC_DMA", 176): _ECC,
    ("ECC_SB0", 177): _ECC,
    ("ECC_SB1", 433): _ECC,
}
_PORT_UNAVAILABLE = {
    ("WR_TRANS_COMPLETED_S", 134): _UNPUBLISHED,
    ("WR_DATA_BEAT_STALLED", 137): _INSIDE,
    ("ENABLED_CYCLES", 140): _ENABLED,
    ("RD_STALL_LIMIT", 142): _COMBINED,
    ("WR_STALL_LIMIT", 143): _COMBINED,
}
#: What is counted under each event that has a value; ports share theirs.
_MEANINGS = {
    "CC_STALLED_ON_BLOCKDEP": "blocks that wait for the operation before",
    "NPU_ACTIVE": "from the first fetch of the command stream to the last write's response",
    "MAC_ACTIVE": "multiplying; waits for the decoder within a step are part of it",
    "MAC_ACTIVE_8BIT": "the same, operations with an 8-bit IFM",
    "MAC_ACTIVE_16BIT": "the same, operations with a 16-bit IFM",
    "MAC_STALLED_BY_WD": "multipliers that wait for the weight stream",
    "MAC_STALLED_BY_ACC": "multipliers that wait for a free accumulator",
    "MAC_STALLED_BY_IB": "multipliers that wait for the IFM",
    "AO_ACTIVE": "output stage: scaling, activation, and all of elementwise operations",
    "AO_ACTIVE_8BIT": "the same, operations with an 8-bit IFM",
    "AO_ACTIVE_16BIT": "the same, operations with a 16-bit IFM",
    "AO_STALLED_BY_OFMP": "output stage that waits for the OFM's write port",
    "AO_STALLED_BY_ACC": "output stage that waits for the multipliers' sums",
    "AO_STALLED_BY_IB": "output stage that waits for the operands of elementwise operations",
    "WD_ACTIVE": "decoding, 8 weights a cycle",
    "WD_STALLED_BY_WS": "as MAC_STALLED_BY_WD: the decoder that waits for its stream",
    "RD_DATA_BEAT_RECEIVED": "beats of 8 bytes read",
    "WR_DATA_BEAT_WRITTEN": "beats of 8 bytes written",
    "RD_TRANS_ACCEPTED": "reads, if none crosses a boundary of 64 bytes",
    "RD_TRANS_COMPLETED": "the same: each ends within the inference",
    "RD_TRAN_REQ_STALLED": "reads that wait to be accepted",
    "WR_TRANS_ACCEPTED": "writes, if none crosses a boundary of 64 bytes",
    "WR_TRANS_COMPLETED_M": "the same: each ends within the inference",
    "WR_TRAN_REQ_STALLED": "writes that wait to be accepted",
}
#: What an AXI1 event's number is above that of its twin for AXI0.
_AXI1_OFFSET = 256


def pmu_events(timing: NetworkTiming) -> tuple[Event, ...]:
    """Every event an Ethos-U55 has, by number."""
    events = [
        *(
            _modelled(name, number, value, _MEANINGS[name])
            for name, number, value in _engine_values(timing)
        ),
        *_port_events(timing),
        *(_missing(name, number, reason) for (name, number), reason in _UNAVAILABLE.items()),
    ]
    return tuple(sorted(events, key=lambda event: event.number))


def _engine_values(timing: NetworkTiming) -> list[tuple[str, int, float]]:
    blocks = [row for row in timing.operations if isinstance(row.operation, BlockOperation)]
    summed = [row for row in blocks if not isinstance(row.operation, Elementwise)]
    pointwise = [row for row in blocks if isinstance(row.operation, Elementwise)]
    mac_8, mac_16 = _by_width(summed)
    ao_8, ao_16 = _by_width(blocks)
    return [
        ("CC_STALLED_ON_BLOCKDEP", 33, sum(row.waits.dependency for row in blocks)),
        ("NPU_ACTIVE", 35, timing.npu_active),
        ("MAC_ACTIVE", 48, sum(row.mac for row in summed)),
        ("MAC_ACTIVE_8BIT", 49, sum(row.mac for row in mac_8)),
        ("MAC_ACTIVE_16BIT", 50, sum(row.mac for row in mac_16)),
        ("MAC_STALLED_BY_WD", 53, sum(row.waits.weights for row in summed)),
        ("MAC_STALLED_BY_ACC", 54, sum(row.waits.accumulators for row in summed)),
        ("MAC_STALLED_BY_IB", 55, sum(row.waits.ifm for row in summed)),
        ("AO_ACTIVE", 64, sum(row.output for row in blocks)),
        ("AO_ACTIVE_8BIT", 65, sum(row.output for row in ao_8)),
        ("AO_ACTIVE_16BIT", 66, sum(row.output for row in ao_16)),
        ("AO_STALLED_BY_OFMP", 68, sum(row.waits.output_write for row in blocks)),
        ("AO_STALLED_BY_ACC", 71, sum(row.waits.output_input for row in summed)),
        ("AO_STALLED_BY_IB", 72, sum(row.waits.output_input for row in pointwise)),
        ("WD_ACTIVE", 80, sum(row.weight_decode for row in blocks)),
        ("WD_STALLED_BY_WS", 82, sum(row.waits.weights for row in summed)),
    ]


def _by_width(
    rows: list[OperationTiming],
) -> tuple[list[OperationTiming], list[OperationTiming]]:
    """Operations on 8-bit and on 16-bit IFMs; those on 32 bits are neither."""
    widths: dict[int, list[OperationTiming]] = {1: [], 2: [], 4: []}
    for row in rows:
        if isinstance(row.operation, BlockOperation):
            widths[row.operation.ifm.dtype.bytes].append(row)
    return widths[1], widths[2]


def _port_events(timing: NetworkTiming) -> list[Event]:
    events: list[Event] = []
    for port, beats in enumerate(timing.beats):
        shift = port * _AXI1_OFFSET

        def name(tail: str, port: int = port) -> str:
            return f"AXI{port}_{tail}"

        for tail, number, count in (
            ("RD_DATA_BEAT_RECEIVED", 130, beats.read),
            ("WR_DATA_BEAT_WRITTEN", 135, beats.written),
        ):
            meaning = _MEANINGS[tail]
            events.append(Event(name(tail), number + shift, Fidelity.EXACT, count, meaning=meaning))
        for tail, number, value in (
            ("RD_TRANS_ACCEPTED", 128, beats.read_bursts),
            ("RD_TRANS_COMPLETED", 129, beats.read_bursts),
            ("RD_TRAN_REQ_STALLED", 131, timing.read_stalls[port]),
            ("WR_TRANS_ACCEPTED", 132, beats.written_bursts),
            ("WR_TRANS_COMPLETED_M", 133, beats.written_bursts),
            ("WR_TRAN_REQ_STALLED", 136, timing.write_stalls[port]),
        ):
            events.append(_modelled(name(tail), number + shift, value, _MEANINGS[tail]))
        for (tail, number), reason in _PORT_UNAVAILABLE.items():
            events.append(_missing(name(tail), number + shift, reason))
    return events


def _modelled(name: str, number: int, value: float, meaning: str) -> Event:
    return Event(name, number, Fidelity.MODELLED, round(value), meaning=meaning)


def _missing(name: str, number: int, reason: str) -> Event:
    return Event(name, number, Fidelity.NOT_MODELLED, None, reason)
