"""From registers to the parts of a block operation: kernel, activation, block, weights and scales.

Each function raises `StreamError` for what the NPU does not have.
"""

from __future__ import annotations

from targets.artefact.stream.operation_parts import (
    AccumulatorFormat,
    Activation,
    ActivationFunction,
    Block,
    DataType,
    FlashRange,
    Kernel,
)
from targets.artefact.stream.register_file import RegisterFile
from targets.artefact.stream.registers import Reg
from targets.ethos_u55.addresses import ALIGNMENT
from targets.ethos_u55.kernels import KERNEL_AREA_MAX
from targets.ethos_u55.shram import LUT_SLOTS
from targets.ethos_u55.weights import SCALE_BYTES

__all__ = ["read_activation", "read_block", "read_flash", "read_kernel"]

_LOOKUP = 16
_FUNCTIONS = {
    0: ActivationFunction.NONE,
    3: ActivationFunction.TANH,
    4: ActivationFunction.SIGMOID,
}
_CLIPS = {0: None, 2: DataType.UINT8, 3: DataType.INT8, 5: DataType.INT16}


def read_kernel(registers: RegisterFile) -> Kernel:
    """The kernel. Its registers hold dilated sizes; strides are split over two bits each."""
    bits = registers.get(Reg.KERNEL_STRIDE)
    dilation_x, dilation_y = 1 + (bits >> 3 & 1), 1 + (bits >> 4 & 1)
    height_m1, width_m1 = registers.get(Reg.KERNEL_HEIGHT_M1), registers.get(Reg.KERNEL_WIDTH_M1)
    if height_m1 % dilation_y or width_m1 % dilation_x:
        raise registers.fault(
            f"a dilated kernel of {height_m1 + 1} x {width_m1 + 1} with dilation "
            f"{dilation_y} x {dilation_x} does not exist"
        )
    height, width = height_m1 // dilation_y + 1, width_m1 // dilation_x + 1
    if height * width > KERNEL_AREA_MAX:
        raise registers.fault(f"a kernel of {height} x {width} elements does not exist")
    return Kernel(
        height=height,
        width=width,
        stride_y=1 + (bits >> 1 & 1) + 2 * (bits >> 9 & 1),
        stride_x=1 + (bits & 1) + 2 * (bits >> 6 & 1),
        dilation_y=dilation_y,
        dilation_x=dilation_x,
        part_kernel_first=bool(bits >> 2 & 1),
    )


def read_activation(registers: RegisterFile, ofm: DataType) -> Activation:
    """The activation of an output of type `ofm`."""
    bits = registers.get(Reg.ACTIVATION)
    code, clip_code = bits & 0x1F, bits >> 12
    if _LOOKUP <= code < _LOOKUP + LUT_SLOTS:
        function, slot = ActivationFunction.LOOKUP, code - _LOOKUP
    elif code in _FUNCTIONS:
        function, slot = _FUNCTIONS[code], 0
    else:
        raise registers.fault(f"activation function {code} does not exist")
    if clip_code not in _CLIPS:
        raise registers.fault(f"activation clip range {clip_code} does not exist")
    clip = _CLIPS[clip_code]
    signed = (clip or ofm).signed
    return Activation(
        function=function,
        lut_index=slot,
        minimum=registers.signed16(Reg.ACTIVATION_MIN, signed=signed),
        maximum=registers.signed16(Reg.ACTIVATION_MAX, signed=signed),
        clip=clip,
    )


def read_block(registers: RegisterFile, *, buffers_ifm2: bool) -> Block:
    """Block configuration and SHRAM layout."""
    return Block(
        height=registers.get(Reg.OFM_BLK_HEIGHT_M1) + 1,
        width=registers.get(Reg.OFM_BLK_WIDTH_M1) + 1,
        depth=registers.get(Reg.OFM_BLK_DEPTH_M1) + 1,
        accumulator=AccumulatorFormat(registers.get(Reg.ACC_FORMAT)),
        ifm_ib_end=registers.get(Reg.IFM_IB_END),
        ifm2_ib_start=registers.get(Reg.IFM2_IB_START) if buffers_ifm2 else 0,
        ab_start=registers.get(Reg.AB_START),
        blockdep=registers.get(Reg.BLOCKDEP),
    )


def read_flash(registers: RegisterFile, channels: int) -> tuple[FlashRange, FlashRange]:
    """Weights and scales. Only an Ethos-U65 has a second core, which takes a second pair."""
    second = (Reg.WEIGHT1_BASE, Reg.WEIGHT1_LENGTH, Reg.SCALE1_BASE, Reg.SCALE1_LENGTH)
    for register in second:
        if register in registers.values:
            raise registers.fault(f"NPU_SET_{register.name} belongs to the Ethos-U65")
    weights = FlashRange(
        registers.get(Reg.WEIGHT_REGION),
        registers.aligned(Reg.WEIGHT_BASE, ALIGNMENT),
        registers.aligned(Reg.WEIGHT_LENGTH, ALIGNMENT),
    )
    scales = FlashRange(
        registers.get(Reg.SCALE_REGION),
        registers.get(Reg.SCALE_BASE),
        registers.aligned(Reg.SCALE_LENGTH, ALIGNMENT),
    )
    if not weights.length:
        raise registers.fault("a weight stream of 0 bytes")
    if scales.length < channels * SCALE_BYTES:
        raise registers.fault(f"{scales.length} bytes of scales for {channels} channels")
    return weights, scales
