"""The events of the NPU's performance monitoring unit, as an estimate gives them.

`targets.ethos_u55.pmu_events` lists the events; this module says what the model counts for each.
Each event says how its value was found. What the model does not know is unavailable, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from targets.artefact.stream.operations import BlockOperation, Elementwise
from targets.ethos_u55.pmu_events import EVENT_NUMBERS, event_number, port_event
from targets.ethos_u55.ports import Direction
from targets.simulator.timing.results import NetworkTiming, OperationTiming

__all__ = ["Event", "Fidelity", "pmu_events"]


class Fidelity(str, Enum):
    """How an event's value is obtained."""

    #: Counted, by rules that match the published counts of `kws_micronet_m` beat for beat.
    EXACT = "exact"
    #: Estimated by the cycle model.
    MODELLED = "modelled"
    #: Unavailable.
    NOT_MODELLED = "not modelled"


@dataclass(frozen=True)
class Event:
    """One event. `value` is None exactly if it is not modelled; `reason` then says why."""

    name: str
    fidelity: Fidelity
    value: int | None
    reason: str = ""
    #: What the model counts for it; empty exactly if it is not modelled.
    meaning: str = ""

    @property
    def number(self) -> int:
        """Arm's number of the event."""
        return event_number(self.name)


_HOST = "depends on the host: how soon the CPU starts the NPU and sees its interrupt"
_UNPUBLISHED = "what exactly it counts is not published"
_INSIDE = "it counts inside an engine that the model treats as a whole"
_COMBINED = "it counts overlapping causes, which the model keeps apart"
_SHRAM = "reconfigurations of SHRAM are not modelled"
_ENABLED = "depends on the clock gating of the AXI interface"
_LATENCIES = "latencies are modelled on average, not per transaction"
_ECC = "it counts hardware faults only"


def _both_ports(texts: Mapping[str, str]) -> dict[str, str]:
    """The texts of the ports' events, for each of the two ports."""
    return {port_event(port, tail): text for port in (0, 1) for tail, text in texts.items()}


#: Why an event has no value.
_REASONS = {
    "CYCLE": _HOST,
    "NPU_IDLE": _HOST,
    "CC_STALLED_ON_SHRAM_RECONFIG": _SHRAM,
    "MAC_DPU_ACTIVE": _INSIDE,
    "MAC_STALLED_BY_WD_ACC": _COMBINED,
    "MAC_ACTIVE_32BIT": _UNPUBLISHED,
    "MAC_STALLED_BY_INT_W": _INSIDE,
    "MAC_STALLED_BY_INT_ACC": _INSIDE,
    "AO_STALLED_BY_OFMP_OB": _COMBINED,
    "AO_STALLED_BY_OB": _INSIDE,
    "AO_STALLED_BY_ACC_IB": _COMBINED,
    "WD_STALLED": _COMBINED,
    "WD_STALLED_BY_WD_BUF": _INSIDE,
    "WD_PARSE_ACTIVE": _INSIDE,
    "WD_PARSE_STALLED": _INSIDE,
    "WD_PARSE_STALLED_IN": _INSIDE,
    "WD_PARSE_STALLED_OUT": _INSIDE,
    "WD_TRANS_WS": _UNPUBLISHED,
    "WD_TRANS_WB": _UNPUBLISHED,
    "WD_TRANS_DW0": _UNPUBLISHED,
    "WD_TRANS_DW1": _UNPUBLISHED,
    "AXI_LATENCY_ANY": _LATENCIES,
    **{f"AXI_LATENCY_{32 << i}": _LATENCIES for i in range(6)},
    "ECC_DMA": _ECC,
    "ECC_SB0": _ECC,
    "ECC_SB1": _ECC,
    **_both_ports(
        {
            "WR_TRANS_COMPLETED_S": _UNPUBLISHED,
            "WR_DATA_BEAT_STALLED": _INSIDE,
            "ENABLED_CYCLES": _ENABLED,
            "RD_STALL_LIMIT": _COMBINED,
            "WR_STALL_LIMIT": _COMBINED,
        }
    ),
}
#: What is counted for each event that has a value.
_MEANINGS = {
    "CC_STALLED_ON_BLOCKDEP": "blocks wait for the previous operation",
    "NPU_ACTIVE": "from the first fetch of the command stream to the last write's response",
    "MAC_ACTIVE": "multiplying, including waits for the decoder within a step",
    "MAC_ACTIVE_8BIT": "the same, for operations with an 8-bit IFM",
    "MAC_ACTIVE_16BIT": "the same, for operations with a 16-bit IFM",
    "MAC_STALLED_BY_WD": "the multipliers wait for the weight stream",
    "MAC_STALLED_BY_ACC": "the multipliers wait for a free accumulator",
    "MAC_STALLED_BY_IB": "the multipliers wait for the IFM",
    "AO_ACTIVE": "output stage: scaling, activation, and all work of elementwise operations",
    "AO_ACTIVE_8BIT": "the same, for operations with an 8-bit IFM",
    "AO_ACTIVE_16BIT": "the same, for operations with a 16-bit IFM",
    "AO_STALLED_BY_OFMP": "the output stage waits for the OFM's write port",
    "AO_STALLED_BY_ACC": "the output stage waits for the multipliers' sums",
    "AO_STALLED_BY_IB": "the output stage waits for the operands of elementwise operations",
    "WD_ACTIVE": "decoding, at 8 weights per cycle",
    "WD_STALLED_BY_WS": "the decoder waits for its stream; equal to MAC_STALLED_BY_WD",
    **_both_ports(
        {
            "RD_DATA_BEAT_RECEIVED": "beats of 8 bytes read",
            "WR_DATA_BEAT_WRITTEN": "beats of 8 bytes written",
            "RD_TRANS_ACCEPTED": "reads, if none crosses a boundary of 64 bytes",
            "RD_TRANS_COMPLETED": "the same: each ends within the inference",
            "RD_TRAN_REQ_STALLED": "reads wait to be accepted",
            "WR_TRANS_ACCEPTED": "writes, if none crosses a boundary of 64 bytes",
            "WR_TRANS_COMPLETED_M": "the same: each ends within the inference",
            "WR_TRAN_REQ_STALLED": "writes wait to be accepted",
        }
    ),
}
#: Events whose count is exact.
_EXACT = frozenset(port_event(port, direction.value) for port in (0, 1) for direction in Direction)


def pmu_events(timing: NetworkTiming) -> tuple[Event, ...]:
    """Every event of the Ethos-U55, ordered by number."""
    values = {**_engine_values(timing), **_port_values(timing)}
    return tuple(_event(name, values.get(name)) for name in EVENT_NUMBERS)


def _event(name: str, value: float | None) -> Event:
    if value is None:
        return Event(name, Fidelity.NOT_MODELLED, None, reason=_REASONS[name])
    fidelity = Fidelity.EXACT if name in _EXACT else Fidelity.MODELLED
    return Event(name, fidelity, round(value), meaning=_MEANINGS[name])


def _engine_values(timing: NetworkTiming) -> dict[str, float]:
    blocks = [row for row in timing.operations if isinstance(row.operation, BlockOperation)]
    summed = [row for row in blocks if not isinstance(row.operation, Elementwise)]
    pointwise = [row for row in blocks if isinstance(row.operation, Elementwise)]
    mac_8, mac_16 = _by_width(summed)
    ao_8, ao_16 = _by_width(blocks)
    return {
        "CC_STALLED_ON_BLOCKDEP": sum(row.waits.dependency for row in blocks),
        "NPU_ACTIVE": timing.npu_active,
        "MAC_ACTIVE": sum(row.mac for row in summed),
        "MAC_ACTIVE_8BIT": sum(row.mac for row in mac_8),
        "MAC_ACTIVE_16BIT": sum(row.mac for row in mac_16),
        "MAC_STALLED_BY_WD": sum(row.waits.weights for row in summed),
        "MAC_STALLED_BY_ACC": sum(row.waits.accumulators for row in summed),
        "MAC_STALLED_BY_IB": sum(row.waits.ifm for row in summed),
        "AO_ACTIVE": sum(row.output for row in blocks),
        "AO_ACTIVE_8BIT": sum(row.output for row in ao_8),
        "AO_ACTIVE_16BIT": sum(row.output for row in ao_16),
        "AO_STALLED_BY_OFMP": sum(row.waits.output_write for row in blocks),
        "AO_STALLED_BY_ACC": sum(row.waits.output_input for row in summed),
        "AO_STALLED_BY_IB": sum(row.waits.output_input for row in pointwise),
        "WD_ACTIVE": sum(row.weight_decode for row in blocks),
        "WD_STALLED_BY_WS": sum(row.waits.weights for row in summed),
    }


def _by_width(
    rows: list[OperationTiming],
) -> tuple[list[OperationTiming], list[OperationTiming]]:
    """Operations on 8-bit and on 16-bit IFMs; those on 32 bits are neither."""
    widths: dict[int, list[OperationTiming]] = {1: [], 2: [], 4: []}
    for row in rows:
        if isinstance(row.operation, BlockOperation):
            widths[row.operation.ifm.dtype.bytes].append(row)
    return widths[1], widths[2]


def _port_values(timing: NetworkTiming) -> dict[str, float]:
    values: dict[str, float] = {}
    for port, beats in enumerate(timing.beats):
        own = {
            Direction.READ.value: beats.read,
            Direction.WRITE.value: beats.written,
            "RD_TRANS_ACCEPTED": beats.read_bursts,
            "RD_TRANS_COMPLETED": beats.read_bursts,
            "RD_TRAN_REQ_STALLED": timing.read_stalls[port],
            "WR_TRANS_ACCEPTED": beats.written_bursts,
            "WR_TRANS_COMPLETED_M": beats.written_bursts,
            "WR_TRAN_REQ_STALLED": timing.write_stalls[port],
        }
        values |= {port_event(port, tail): value for tail, value in own.items()}
    return values
