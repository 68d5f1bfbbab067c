"""The three groups of registers that describe a feature map."""

from __future__ import annotations

from dataclasses import dataclass

from targets.artefact.stream.operations import DataType, FeatureMap, Layout
from targets.artefact.stream.register_file import RegisterFile
from targets.artefact.stream.registers import Reg
from targets.ethos_u55.addresses import ALIGNMENT

__all__ = ["IFM", "IFM2", "OFM", "FeatureMapRegisters", "data_type", "feature_map"]

# (precision field, signed). There is no uint32. The field's fourth value means 64 bits, which this
# NPU does not have.
_TYPES = {
    (0, 0): DataType.UINT8,
    (0, 1): DataType.INT8,
    (1, 0): DataType.UINT16,
    (1, 1): DataType.INT16,
    (2, 1): DataType.INT32,
}


@dataclass(frozen=True)
class FeatureMapRegisters:
    """Which registers describe a feature map, and where its precision field is."""

    region: Reg
    precision: Reg
    precision_shift: int
    zero_point: Reg
    bases: tuple[Reg, Reg, Reg, Reg]
    height0: Reg
    height1: Reg
    width0: Reg
    stride_y: Reg
    stride_x: Reg
    stride_c: Reg


IFM = FeatureMapRegisters(
    region=Reg.IFM_REGION,
    precision=Reg.IFM_PRECISION,
    precision_shift=2,
    zero_point=Reg.IFM_ZERO_POINT,
    bases=(Reg.IFM_BASE0, Reg.IFM_BASE1, Reg.IFM_BASE2, Reg.IFM_BASE3),
    height0=Reg.IFM_HEIGHT0_M1,
    height1=Reg.IFM_HEIGHT1_M1,
    width0=Reg.IFM_WIDTH0_M1,
    stride_y=Reg.IFM_STRIDE_Y,
    stride_x=Reg.IFM_STRIDE_X,
    stride_c=Reg.IFM_STRIDE_C,
)

IFM2 = FeatureMapRegisters(
    region=Reg.IFM2_REGION,
    precision=Reg.IFM2_PRECISION,
    precision_shift=2,
    zero_point=Reg.IFM2_ZERO_POINT,
    bases=(Reg.IFM2_BASE0, Reg.IFM2_BASE1, Reg.IFM2_BASE2, Reg.IFM2_BASE3),
    height0=Reg.IFM2_HEIGHT0_M1,
    height1=Reg.IFM2_HEIGHT1_M1,
    width0=Reg.IFM2_WIDTH0_M1,
    stride_y=Reg.IFM2_STRIDE_Y,
    stride_x=Reg.IFM2_STRIDE_X,
    stride_c=Reg.IFM2_STRIDE_C,
)

OFM = FeatureMapRegisters(
    region=Reg.OFM_REGION,
    precision=Reg.OFM_PRECISION,
    precision_shift=1,
    zero_point=Reg.OFM_ZERO_POINT,
    bases=(Reg.OFM_BASE0, Reg.OFM_BASE1, Reg.OFM_BASE2, Reg.OFM_BASE3),
    height0=Reg.OFM_HEIGHT0_M1,
    height1=Reg.OFM_HEIGHT1_M1,
    width0=Reg.OFM_WIDTH0_M1,
    stride_y=Reg.OFM_STRIDE_Y,
    stride_x=Reg.OFM_STRIDE_X,
    stride_c=Reg.OFM_STRIDE_C,
)


def data_type(registers: RegisterFile, group: FeatureMapRegisters) -> DataType:
    """The element type. Raises `StreamError` for one that the NPU does not have."""
    value = registers.get(group.precision)
    precision, signed = value >> group.precision_shift & 3, value & 1
    dtype = _TYPES.get((precision, signed))
    if dtype is None:
        kind = "int" if signed else "uint"
        raise registers.fault(f"{group.precision.name} of {kind}{8 << precision} does not exist")
    return dtype


def feature_map(
    registers: RegisterFile, group: FeatureMapRegisters, height: int, width: int, depth: int
) -> FeatureMap:
    """A feature map of the given size in memory, from the registers of `group`.

    `stride_c` of NHWC is the element size, whatever the register holds: the Ethos-U55 ignores the
    register in this layout (regor, `InsertTransposeCommand`).
    """
    dtype = data_type(registers, group)
    format_ = registers.get(group.precision) >> 6 & 3
    if format_ > Layout.NHCWB16:
        raise registers.fault(f"{group.precision.name} with the unknown layout {format_}")
    layout = Layout(format_)
    bricks = layout is Layout.NHCWB16
    alignment = ALIGNMENT if bricks else dtype.bytes
    first, second, third, fourth = (registers.aligned(base, alignment) for base in group.bases)
    stride_y = _stride(registers, group.stride_y, alignment)
    stride_x = _stride(registers, group.stride_x, dtype.bytes)
    stride_c = _stride(registers, group.stride_c, alignment) if bricks else dtype.bytes
    return FeatureMap(
        region=registers.get(group.region),
        layout=layout,
        dtype=dtype,
        height=height,
        width=width,
        depth=depth,
        bases=(first, second, third, fourth),
        tile_height0=registers.get(group.height0) + 1,
        tile_height1=registers.get(group.height1) + 1,
        tile_width0=registers.get(group.width0) + 1,
        stride_y=stride_y,
        stride_x=stride_x,
        stride_c=stride_c,
        zero_point=registers.signed16(group.zero_point, signed=dtype.signed),
    )


def _stride(registers: RegisterFile, register: Reg, alignment: int) -> int:
    value = registers.distance(register)
    if value % alignment:
        raise registers.fault(f"{register.name} {value} is not a multiple of {alignment}")
    return value
