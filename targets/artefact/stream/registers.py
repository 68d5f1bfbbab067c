"""The command words of the Ethos-U55, as data: codes, Arm's names, legal parameters.

A command word holds a code in bits 9:0, its class in bits 15:14 and a parameter in bits 31:16.
A command of class 0 (60 codes) is one word; one of class 1 (37 codes) is followed by a word of
payload. Here a code includes its class: `0x4000` and above means "with payload". Codes and names
are those of Vela's `ethos_u55_regs.py`. The widths of the fields are those of the register
interface in the sources of regor, Vela's compiler core.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["CODE_MASK", "COMMANDS", "PAYLOAD", "Command", "Op", "Reg"]

#: Set in the code of a command that is followed by a payload word.
PAYLOAD = 0x4000
#: The bits of a command word that hold code and class; bits 13:10 are reserved and zero.
CODE_MASK = 0xFFFF


class Op(IntEnum):
    """Commands that make the NPU do something."""

    STOP = 0x000
    IRQ = 0x001
    CONV = 0x002
    DEPTHWISE = 0x003
    POOL = 0x005
    ELEMENTWISE = 0x006
    DMA_START = 0x010
    DMA_WAIT = 0x011
    KERNEL_WAIT = 0x012
    PMU_MASK = 0x013


class Reg(IntEnum):
    """Commands that set a register; the register keeps its value until it is set again."""

    IFM_PAD_TOP = 0x100
    IFM_PAD_LEFT = 0x101
    IFM_PAD_RIGHT = 0x102
    IFM_PAD_BOTTOM = 0x103
    IFM_DEPTH_M1 = 0x104
    IFM_PRECISION = 0x105
    IFM_UPSCALE = 0x107
    IFM_ZERO_POINT = 0x109
    IFM_WIDTH0_M1 = 0x10A
    IFM_HEIGHT0_M1 = 0x10B
    IFM_HEIGHT1_M1 = 0x10C
    IFM_IB_END = 0x10D
    IFM_REGION = 0x10F
    OFM_WIDTH_M1 = 0x111
    OFM_HEIGHT_M1 = 0x112
    OFM_DEPTH_M1 = 0x113
    OFM_PRECISION = 0x114
    OFM_BLK_WIDTH_M1 = 0x115
    OFM_BLK_HEIGHT_M1 = 0x116
    OFM_BLK_DEPTH_M1 = 0x117
    OFM_ZERO_POINT = 0x118
    OFM_WIDTH0_M1 = 0x11A
    OFM_HEIGHT0_M1 = 0x11B
    OFM_HEIGHT1_M1 = 0x11C
    OFM_REGION = 0x11F
    KERNEL_WIDTH_M1 = 0x120
    KERNEL_HEIGHT_M1 = 0x121
    KERNEL_STRIDE = 0x122
    PARALLEL_MODE = 0x123
    ACC_FORMAT = 0x124
    ACTIVATION = 0x125
    ACTIVATION_MIN = 0x126
    ACTIVATION_MAX = 0x127
    WEIGHT_REGION = 0x128
    SCALE_REGION = 0x129
    AB_START = 0x12D
    BLOCKDEP = 0x12F
    DMA0_SRC_REGION = 0x130
    DMA0_DST_REGION = 0x131
    DMA0_SIZE0 = 0x132
    DMA0_SIZE1 = 0x133
    IFM2_BROADCAST = 0x180
    IFM2_SCALAR = 0x181
    IFM2_PRECISION = 0x185
    IFM2_ZERO_POINT = 0x189
    IFM2_WIDTH0_M1 = 0x18A
    IFM2_HEIGHT0_M1 = 0x18B
    IFM2_HEIGHT1_M1 = 0x18C
    IFM2_IB_START = 0x18D
    IFM2_REGION = 0x18F
    IFM_BASE0 = PAYLOAD | 0x000
    IFM_BASE1 = PAYLOAD | 0x001
    IFM_BASE2 = PAYLOAD | 0x002
    IFM_BASE3 = PAYLOAD | 0x003
    IFM_STRIDE_X = PAYLOAD | 0x004
    IFM_STRIDE_Y = PAYLOAD | 0x005
    IFM_STRIDE_C = PAYLOAD | 0x006
    OFM_BASE0 = PAYLOAD | 0x010
    OFM_BASE1 = PAYLOAD | 0x011
    OFM_BASE2 = PAYLOAD | 0x012
    OFM_BASE3 = PAYLOAD | 0x013
    OFM_STRIDE_X = PAYLOAD | 0x014
    OFM_STRIDE_Y = PAYLOAD | 0x015
    OFM_STRIDE_C = PAYLOAD | 0x016
    WEIGHT_BASE = PAYLOAD | 0x020
    WEIGHT_LENGTH = PAYLOAD | 0x021
    SCALE_BASE = PAYLOAD | 0x022
    SCALE_LENGTH = PAYLOAD | 0x023
    OFM_SCALE = PAYLOAD | 0x024
    OPA_SCALE = PAYLOAD | 0x025
    OPB_SCALE = PAYLOAD | 0x026
    DMA0_SRC = PAYLOAD | 0x030
    DMA0_DST = PAYLOAD | 0x031
    DMA0_LEN = PAYLOAD | 0x032
    DMA0_SKIP0 = PAYLOAD | 0x033
    DMA0_SKIP1 = PAYLOAD | 0x034
    IFM2_BASE0 = PAYLOAD | 0x080
    IFM2_BASE1 = PAYLOAD | 0x081
    IFM2_BASE2 = PAYLOAD | 0x082
    IFM2_BASE3 = PAYLOAD | 0x083
    IFM2_STRIDE_X = PAYLOAD | 0x084
    IFM2_STRIDE_Y = PAYLOAD | 0x085
    IFM2_STRIDE_C = PAYLOAD | 0x086
    WEIGHT1_BASE = PAYLOAD | 0x090
    WEIGHT1_LENGTH = PAYLOAD | 0x091
    SCALE1_BASE = PAYLOAD | 0x092
    SCALE1_LENGTH = PAYLOAD | 0x093


@dataclass(frozen=True)
class Command:
    """What is legal in one command: bits that may be set, then bounds within them."""

    #: Arm's name, such as `NPU_SET_IFM_PAD_TOP`.
    name: str
    #: Bits of the 16-bit parameter that exist.
    parameter_mask: int
    #: Largest legal parameter.
    parameter_max: int
    #: Largest legal payload, `-1` for a command without payload.
    payload_max: int
    #: The 40-bit value is an address or distance: parameter bits 7:0 above the 32-bit payload.
    is_address: bool


_WORD = 0xFFFF
_LONG = 0xFFFF_FFFF

# Fields of several bits each: which bits of the parameter exist.
_MASKS: dict[int, int] = {
    Op.STOP: _WORD,
    Op.IRQ: _WORD,
    Op.POOL: 0b111,
    Op.ELEMENTWISE: 0b111111,
    Op.DMA_WAIT: 0b1,
    Op.KERNEL_WAIT: 0b11,
    Op.PMU_MASK: 0b1,
    Reg.IFM_PAD_TOP: 0x7F,
    Reg.IFM_PAD_LEFT: 0x7F,
    Reg.IFM_PAD_RIGHT: 0xFF,
    Reg.IFM_PAD_BOTTOM: 0xFF,
    # type 0, precision 3:2, format 7:6, scale mode 9:8, rounding 15:14
    Reg.IFM_PRECISION: 0xC3CD,
    Reg.IFM2_PRECISION: 0x00CD,
    # type 0, precision 2:1, format 7:6, scale mode 8, rounding 15:14
    Reg.OFM_PRECISION: 0xC1C7,
    Reg.IFM_UPSCALE: 0b11,
    Reg.IFM_IB_END: 0x3F,
    Reg.IFM2_IB_START: 0x3F,
    Reg.AB_START: 0x3F,
    Reg.OFM_BLK_WIDTH_M1: 0x3F,
    Reg.OFM_BLK_HEIGHT_M1: 0x1F,
    Reg.OFM_BLK_DEPTH_M1: 0x7F,
    # stride x, y: bits 0, 1 and 6, 9; order 2; dilation x, y 3, 4. Vela does not use bit 5, kernel
    # decomposition into 4 x 4, for this NPU.
    Reg.KERNEL_STRIDE: 0x025F,
    Reg.PARALLEL_MODE: 0b1,
    Reg.ACC_FORMAT: 0b11,
    # function 4:0, clip range 14:12
    Reg.ACTIVATION: 0x701F,
    Reg.BLOCKDEP: 0b11,
    Reg.IFM_REGION: 0b111,
    Reg.OFM_REGION: 0b111,
    Reg.IFM2_REGION: 0b111,
    Reg.WEIGHT_REGION: 0b111,
    Reg.SCALE_REGION: 0b111,
    # region 2:0, internal memory 8, stride mode 10:9
    Reg.DMA0_SRC_REGION: 0x0707,
    Reg.DMA0_DST_REGION: 0x0707,
    # height, width, depth 0-2; operand order 6; constant 7
    Reg.IFM2_BROADCAST: 0x00C7,
    Reg.OFM_SCALE: 0x3F,
    Reg.OPA_SCALE: 0x3F,
}

# Bounds tighter than the field, from the enumerations of Vela's `ethos_u55_regs.py`.
_MAXIMA: dict[int, int] = {
    Op.POOL: 2,
    Op.ELEMENTWISE: 9,
    Reg.IFM_UPSCALE: 2,
    Reg.ACC_FORMAT: 2,
    # 1 is a mode with two cores, which the Ethos-U55 does not have.
    Reg.PARALLEL_MODE: 0,
}

_PAYLOADS: dict[int, int] = {
    Reg.OPB_SCALE: _WORD,
    Reg.SCALE_LENGTH: 0xF_FFFF,
    Reg.SCALE1_LENGTH: 0xF_FFFF,
}

_NOT_ADDRESSES = frozenset(
    {
        Reg.WEIGHT_LENGTH,
        Reg.WEIGHT1_LENGTH,
        Reg.SCALE_LENGTH,
        Reg.SCALE1_LENGTH,
        Reg.OFM_SCALE,
        Reg.OPA_SCALE,
        Reg.OPB_SCALE,
    }
)

_ARGUMENTLESS = frozenset({Op.CONV, Op.DEPTHWISE, Op.DMA_START})


def _command(code: Op | Reg) -> Command:
    payload = bool(code & PAYLOAD)
    address = payload and code not in _NOT_ADDRESSES
    if code in _MASKS:
        mask = _MASKS[code]
    elif code in _ARGUMENTLESS:
        mask = 0
    elif payload:
        mask = 0xFF if address else 0
    else:
        mask = _WORD
    return Command(
        name=f"NPU_{'OP' if isinstance(code, Op) else 'SET'}_{code.name}",
        parameter_mask=mask,
        parameter_max=_MAXIMA.get(code, mask),
        payload_max=_PAYLOADS.get(code, _LONG) if payload else -1,
        is_address=address,
    )


#: Every legal code (with its class bits), and what is legal in its command.
COMMANDS: dict[int, Command] = {int(code): _command(code) for code in (*Op, *Reg)}
