"""The performance monitoring unit (PMU): its counters, and its events by Arm's names.

From Arm's core driver (`ethosu55_interface.h`). The names are those of CMSIS without the prefix
`ETHOSU_PMU_`. An event's number is the value that is written to PMEVTYPERn.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bench.core.errors import TargetError

__all__ = [
    "CYCLE_COUNTER_BITS",
    "EVENT_COUNTERS",
    "EVENT_COUNTER_BITS",
    "EVENT_NUMBERS",
    "EVENT_NUMBER_MAX",
    "event_name",
    "event_number",
    "port_event",
]

#: Counters PMEVCNTRn, each for an event that PMEVTYPERn names, and their width.
EVENT_COUNTERS = 4
EVENT_COUNTER_BITS = 32
#: Width of the counter of cycles, PMCCNTR.
CYCLE_COUNTER_BITS = 48
#: The largest number that PMEVTYPERn holds.
EVENT_NUMBER_MAX = 1023

_COMMON = {
    "CYCLE": 17,
    "NPU_IDLE": 32,
    "CC_STALLED_ON_BLOCKDEP": 33,
    "CC_STALLED_ON_SHRAM_RECONFIG": 34,
    "NPU_ACTIVE": 35,
    "MAC_ACTIVE": 48,
    "MAC_ACTIVE_8BIT": 49,
    "MAC_ACTIVE_16BIT": 50,
    "MAC_DPU_ACTIVE": 51,
    "MAC_STALLED_BY_WD_ACC": 52,
    "MAC_STALLED_BY_WD": 53,
    "MAC_STALLED_BY_ACC": 54,
    "MAC_STALLED_BY_IB": 55,
    "MAC_ACTIVE_32BIT": 56,
    "MAC_STALLED_BY_INT_W": 57,
    "MAC_STALLED_BY_INT_ACC": 58,
    "AO_ACTIVE": 64,
    "AO_ACTIVE_8BIT": 65,
    "AO_ACTIVE_16BIT": 66,
    "AO_STALLED_BY_OFMP_OB": 67,
    "AO_STALLED_BY_OFMP": 68,
    "AO_STALLED_BY_OB": 69,
    "AO_STALLED_BY_ACC_IB": 70,
    "AO_STALLED_BY_ACC": 71,
    "AO_STALLED_BY_IB": 72,
    "WD_ACTIVE": 80,
    "WD_STALLED": 81,
    "WD_STALLED_BY_WS": 82,
    "WD_STALLED_BY_WD_BUF": 83,
    "WD_PARSE_ACTIVE": 84,
    "WD_PARSE_STALLED": 85,
    "WD_PARSE_STALLED_IN": 86,
    "WD_PARSE_STALLED_OUT": 87,
    "WD_TRANS_WS": 88,
    "WD_TRANS_WB": 89,
    "WD_TRANS_DW0": 90,
    "WD_TRANS_DW1": 91,
    "AXI_LATENCY_ANY": 160,
    "AXI_LATENCY_32": 161,
    "AXI_LATENCY_64": 162,
    "AXI_LATENCY_128": 163,
    "AXI_LATENCY_256": 164,
    "AXI_LATENCY_512": 165,
    "AXI_LATENCY_1024": 166,
    "ECC_DMA": 176,
    "ECC_SB0": 177,
    "ECC_SB1": 433,
}

#: Events that each port has, with AXI0's numbers; AXI1's are `_AXI1` higher.
_PORT = {
    "RD_TRANS_ACCEPTED": 128,
    "RD_TRANS_COMPLETED": 129,
    "RD_DATA_BEAT_RECEIVED": 130,
    "RD_TRAN_REQ_STALLED": 131,
    "WR_TRANS_ACCEPTED": 132,
    "WR_TRANS_COMPLETED_M": 133,
    "WR_TRANS_COMPLETED_S": 134,
    "WR_DATA_BEAT_WRITTEN": 135,
    "WR_TRAN_REQ_STALLED": 136,
    "WR_DATA_BEAT_STALLED": 137,
    "ENABLED_CYCLES": 140,
    "RD_STALL_LIMIT": 142,
    "WR_STALL_LIMIT": 143,
}

_AXI1 = 256


def port_event(port: int, tail: str) -> str:
    """Arm's name of an event of port 0 or 1, such as `AXI1_RD_DATA_BEAT_RECEIVED`.

    `tail` is what the two ports' events have in common.
    """
    return f"AXI{port}_{tail}"


#: Arm's name -> number, in the order of the numbers.
EVENT_NUMBERS: Mapping[str, int] = MappingProxyType(
    dict(
        sorted(
            {
                **_COMMON,
                **{port_event(0, tail): number for tail, number in _PORT.items()},
                **{port_event(1, tail): number + _AXI1 for tail, number in _PORT.items()},
            }.items(),
            key=lambda event: event[1],
        )
    )
)
_NAMES = {number: name for name, number in EVENT_NUMBERS.items()}


def event_number(name: str) -> int:
    """The number of Arm's event `name`. Raises `TargetError` for an unknown one."""
    if name not in EVENT_NUMBERS:
        raise TargetError(
            f"{name!r} is not a PMU event of the Ethos-U55", cure="use Arm's event names"
        )
    return EVENT_NUMBERS[name]


def event_name(number: int) -> str:
    """Arm's name of event `number`. Raises `TargetError` for an unknown one."""
    if number not in _NAMES:
        raise TargetError(f"{number} is not a PMU event of the Ethos-U55")
    return _NAMES[number]
