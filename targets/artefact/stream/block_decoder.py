"""NPU_OP_CONV, _DEPTHWISE, _POOL and _ELEMENTWISE: from registers to operations.

No register holds the IFM's size: it follows from the OFM, the kernel and the padding. The rules for
alignment are those that Vela checks (`register_command_stream_util.py`).
"""

from __future__ import annotations

from targets.artefact.stream.block_registers import (
    read_activation,
    read_block,
    read_flash,
    read_kernel,
)
from targets.artefact.stream.feature_map_registers import IFM, IFM2, OFM, data_type, feature_map
from targets.artefact.stream.operations import (
    BlockOperation,
    Conv,
    DataType,
    Depthwise,
    Elementwise,
    ElementwiseMode,
    FeatureMap,
    Kernel,
    OperandScaling,
    Padding,
    Pool,
    PoolMode,
    Rounding,
    Scale,
    Upscale,
)
from targets.artefact.stream.register_file import RegisterFile
from targets.artefact.stream.registers import Reg

__all__ = ["conv", "depthwise", "elementwise", "pool"]

_BROADCAST_HEIGHT = 1 << 0
_BROADCAST_WIDTH = 1 << 1
_BROADCAST_DEPTH = 1 << 2
_REVERSE_OPERANDS = 1 << 6
_SCALAR = 1 << 7

_UNIT_KERNEL = Kernel(1, 1, 1, 1, 1, 1, part_kernel_first=False)
_NO_PADDING = Padding(0, 0, 0, 0)


def conv(registers: RegisterFile, issue_words: int) -> Conv:
    """Decode NPU_OP_CONV."""
    common = _windowed(registers, issue_words)
    weights, scales = read_flash(registers, common.ofm.depth)
    return Conv(**vars(common), weights=weights, scales=scales)


def depthwise(registers: RegisterFile, issue_words: int) -> Depthwise:
    """Decode NPU_OP_DEPTHWISE."""
    common = _windowed(registers, issue_words)
    _require_equal_depths(registers, common)
    weights, scales = read_flash(registers, common.ofm.depth)
    return Depthwise(**vars(common), weights=weights, scales=scales)


def pool(registers: RegisterFile, parameter: int, issue_words: int) -> Pool:
    """Decode NPU_OP_POOL. Average pooling with any padding divides by the valid elements."""
    mode = PoolMode(parameter)
    common = _windowed(registers, issue_words)
    if mode is not PoolMode.REDUCE_SUM:
        _require_equal_depths(registers, common)
        if common.ifm.dtype is DataType.INT32:
            raise registers.fault(f"{mode.name} of int32 does not exist")
    elif common.ofm.depth != 1:
        raise registers.fault(f"REDUCE_SUM to a depth of {common.ofm.depth}, not 1")
    averages_valid = mode is PoolMode.AVERAGE and common.padding != _NO_PADDING
    return Pool(**vars(common), mode=mode, divides_by_valid=averages_valid)


def elementwise(registers: RegisterFile, parameter: int, issue_words: int) -> Elementwise:
    """Decode NPU_OP_ELEMENTWISE. It has neither kernel nor padding."""
    mode = ElementwiseMode(parameter)
    upscale = Upscale(registers.get(Reg.IFM_UPSCALE))
    ofm = _ofm(registers)
    height, width = _stored(ofm.height, upscale), _stored(ofm.width, upscale)
    ifm = feature_map(registers, IFM, height, width, registers.get(Reg.IFM_DEPTH_M1) + 1)
    bits = 0 if mode.unary else registers.get(Reg.IFM2_BROADCAST)
    ifm2, scalar = _second_operand(registers, mode, bits, ofm)
    common = _common(
        registers,
        issue_words,
        ifm,
        ofm,
        _UNIT_KERNEL,
        _NO_PADDING,
        upscale,
        buffers_ifm2=ifm2 is not None,
    )
    _require_equal_depths(registers, common)
    precision = registers.get(Reg.IFM_PRECISION)
    scaling = precision >> 8 & 3
    if scaling > OperandScaling.B_32BIT:
        raise registers.fault(f"operand scaling mode {scaling} does not exist")
    if mode in (ElementwiseMode.ADD, ElementwiseMode.SUB):
        opa, opb = Scale(*registers.scale(Reg.OPA_SCALE)), registers.get(Reg.OPB_SCALE)
        # Vela rounds a 32-bit operand twice; it never asks for another rounding (bits 15:14).
        if scaling and precision >> 14:
            raise registers.fault(f"operand rounding {precision >> 14} is not supported")
    else:
        opa, opb = Scale(1, 0), 1
    return Elementwise(
        **vars(common),
        mode=mode,
        ifm2=ifm2,
        scalar=scalar,
        reverse_operands=bool(bits & _REVERSE_OPERANDS),
        broadcast_height=bool(bits & _BROADCAST_HEIGHT),
        broadcast_width=bool(bits & _BROADCAST_WIDTH),
        broadcast_depth=bool(bits & _BROADCAST_DEPTH),
        scaling=OperandScaling(scaling),
        opa_scale=opa,
        opb_scale=opb,
    )


def _second_operand(
    registers: RegisterFile, mode: ElementwiseMode, bits: int, ofm: FeatureMap
) -> tuple[FeatureMap | None, int | None]:
    if mode.unary:
        return None, None
    dtype = data_type(registers, IFM2)
    if dtype.bytes != data_type(registers, IFM).bytes:
        raise registers.fault("the operands have elements of different sizes")
    if bits & _SCALAR:
        scalar = registers.signed16(Reg.IFM2_SCALAR, signed=dtype.signed)
        return None, scalar - registers.signed16(Reg.IFM2_ZERO_POINT, signed=dtype.signed)
    ifm2 = feature_map(
        registers,
        IFM2,
        1 if bits & _BROADCAST_HEIGHT else ofm.height,
        1 if bits & _BROADCAST_WIDTH else ofm.width,
        1 if bits & _BROADCAST_DEPTH else ofm.depth,
    )
    return ifm2, None


def _windowed(registers: RegisterFile, issue_words: int) -> BlockOperation:
    """The fields that operations with a kernel share; the kernel's windows cover the IFM."""
    kernel = read_kernel(registers)
    padding = Padding(
        top=registers.get(Reg.IFM_PAD_TOP),
        left=registers.get(Reg.IFM_PAD_LEFT),
        bottom=registers.get(Reg.IFM_PAD_BOTTOM),
        right=registers.get(Reg.IFM_PAD_RIGHT),
    )
    upscale = Upscale(registers.get(Reg.IFM_UPSCALE))
    ofm = _ofm(registers)
    height, width = kernel.covered(ofm.height, ofm.width)
    height -= padding.top + padding.bottom
    width -= padding.left + padding.right
    if height < 1 or width < 1:
        raise registers.fault(f"padding {padding} leaves an IFM of {height} x {width}")
    depth = registers.get(Reg.IFM_DEPTH_M1) + 1
    ifm = feature_map(registers, IFM, _stored(height, upscale), _stored(width, upscale), depth)
    return _common(registers, issue_words, ifm, ofm, kernel, padding, upscale, buffers_ifm2=False)


def _stored(size: int, upscale: Upscale) -> int:
    """The rows or columns in memory of a feature map that is read as `size`."""
    return size if upscale is Upscale.NONE else (size + 1) // 2


def _common(
    registers: RegisterFile,
    issue_words: int,
    ifm: FeatureMap,
    ofm: FeatureMap,
    kernel: Kernel,
    padding: Padding,
    upscale: Upscale,
    *,
    buffers_ifm2: bool,
) -> BlockOperation:
    """The fields of every block operation; each kind adds its own."""
    precision = registers.get(Reg.OFM_PRECISION)
    rounding = precision >> 14
    if rounding > Rounding.NATURAL:
        raise registers.fault(f"rounding mode {rounding} does not exist")
    global_scale = bool(precision >> 8 & 1)
    return BlockOperation(
        word=registers.word,
        issue_words=issue_words,
        ifm=ifm,
        ofm=ofm,
        kernel=kernel,
        padding=padding,
        upscale=upscale,
        activation=read_activation(registers, ofm.dtype),
        rounding=Rounding(rounding),
        block=read_block(registers, buffers_ifm2=buffers_ifm2),
        ofm_scale=Scale(*registers.scale(Reg.OFM_SCALE)) if global_scale else None,
    )


def _ofm(registers: RegisterFile) -> FeatureMap:
    return feature_map(
        registers,
        OFM,
        registers.get(Reg.OFM_HEIGHT_M1) + 1,
        registers.get(Reg.OFM_WIDTH_M1) + 1,
        registers.get(Reg.OFM_DEPTH_M1) + 1,
    )


def _require_equal_depths(registers: RegisterFile, common: BlockOperation) -> None:
    ifm, ofm = common.ifm.depth, common.ofm.depth
    if ifm != ofm:
        raise registers.fault(f"an IFM of depth {ifm} with an OFM of depth {ofm}")
