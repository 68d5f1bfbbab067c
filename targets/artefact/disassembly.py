"""A compiled model as text: one paragraph per operation, under the layer it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from targets.artefact.debug_database import Streams
from targets.artefact.layers import Layer, NamedOperation, named_operations
from targets.artefact.model import (
    ArenaRegion,
    Artefact,
    CpuOperator,
    FlashRegion,
    ModelTensor,
    NpuOperator,
    Region,
)
from targets.artefact.stream.operations import (
    Activation,
    ActivationFunction,
    BlockOperation,
    Conv,
    Depthwise,
    Dma,
    DmaWait,
    Elementwise,
    ElementwiseMode,
    FeatureMap,
    FlashRange,
    Irq,
    KernelWait,
    OperandScaling,
    Operation,
    Padding,
    PmuMask,
    Pool,
    Upscale,
)

__all__ = ["disassemble"]


def disassemble(artefact: Artefact, database: Streams | None = None) -> str:
    """Describe every operator and operation; addresses are byte offsets into their region.

    The number before an operation is the index of its word in the command stream. Vela's debug
    `database` gives the headings of the operations; without it there are none.

    Raises `ModelError` when the database belongs to another model.
    """
    named = None if database is None else named_operations(artefact, database)
    return "\n".join(_lines(artefact, named)) + "\n"


def _lines(
    artefact: Artefact, named: Sequence[Mapping[int, NamedOperation]] | None
) -> Iterator[str]:
    accelerator = "CPU only" if artefact.macs is None else f"ethos-u55-{artefact.macs}"
    yield f"{artefact.name}: {accelerator}, arena {artefact.arena_bytes:,} bytes"
    for role, indices in (("input", artefact.inputs), ("output", artefact.outputs)):
        for index in indices:
            yield f"{role:<7}{_tensor(artefact.tensors[index])}"
    for tensor in artefact.tensors:
        if tensor.is_variable:
            yield f"state  {_tensor(tensor)}"
    if artefact.npu_operators and named is None:
        yield "layers are not named: there is no debug database (vela --enable-debug-db)"
    streams = iter(named or ())
    for operator in artefact.operators:
        yield ""
        if isinstance(operator, CpuOperator):
            yield from _cpu(artefact, operator)
        else:
            yield from _npu(artefact, operator, next(streams, {}))


def _tensor(tensor: ModelTensor) -> str:
    parts = [tensor.name, tensor.dtype, str(list(tensor.shape))]
    if len(tensor.scales) == 1 and len(tensor.zero_points) == 1:
        parts.append(f"scale {tensor.scales[0]:.8g} zero {tensor.zero_points[0]}")
    if tensor.constant is not None:
        parts.append(f"constant, {tensor.constant.size:,} bytes")
    elif tensor.offset is not None:
        parts.append(f"arena {tensor.offset:#x}")
    return "  ".join(parts)


def _cpu(artefact: Artefact, operator: CpuOperator) -> Iterator[str]:
    yield f"operator {operator.index}: {operator.custom or operator.name} on the CPU"
    yield from _connections(artefact, operator.inputs, operator.outputs)


def _npu(
    artefact: Artefact, operator: NpuOperator, named: Mapping[int, NamedOperation]
) -> Iterator[str]:
    payload = operator.payload
    yield (
        f"operator {operator.index}: ethos-u, {payload.format.value}, architecture "
        f"{payload.architecture}, {len(payload.commands):,} words, "
        f"{len(operator.operations):,} operations"
    )
    yield from _connections(artefact, operator.inputs, operator.outputs)
    for number, region in sorted(operator.regions.items()):
        yield f"  region {number}: {_region(artefact, region)}"
    heading: Layer | None = None
    for place, operation in enumerate(operator.operations):
        layer = named[place].layer if place in named else None
        if layer != heading:
            heading = layer
            yield "" if layer is None else f"  {layer}"
        title, *details = _operation(operation)
        yield f"{operation.word:>7}  {title}"
        for detail in details:
            yield f"{'':>13}{detail}"


def _connections(
    artefact: Artefact, inputs: tuple[int, ...], outputs: tuple[int, ...]
) -> Iterator[str]:
    for role, indices in (("input", inputs), ("output", outputs)):
        for index in indices:
            text = "(none)" if index < 0 else _tensor(artefact.tensors[index])
            yield f"  {role:<7}{text}"


def _region(artefact: Artefact, region: Region) -> str:
    if isinstance(region, FlashRegion):
        return f"flash, {region.data.size:,} bytes"
    if isinstance(region, ArenaRegion):
        return f"arena from {region.offset:#x}, {region.length:,} bytes"
    slots = ", ".join(f"{artefact.tensors[i].name} at {offset:#x}" for i, offset in region.slots)
    return f"{region.length:,} bytes: {slots or 'nothing'}"


def _operation(operation: Operation) -> list[str]:
    """A title, then details."""
    match operation:
        case BlockOperation():
            return _block_operation(operation)
        case Dma():
            return [f"DMA  {_dma(operation)}"]
        case DmaWait():
            return [f"DMA_WAIT  until {operation.outstanding} are outstanding"]
        case KernelWait():
            return [f"KERNEL_WAIT  until {operation.outstanding} are outstanding"]
        case Irq():
            return [f"IRQ  mask {operation.mask:#x}"]
        case PmuMask():
            return [f"PMU_MASK  {operation.enable}"]
        case _:
            return [type(operation).__name__.upper()]


def _dma(dma: Dma) -> str:
    to = (
        f"look-up tables {dma.destination:#x}"
        if dma.destination_region is None
        else f"region {dma.destination_region} {dma.destination:#x}"
    )
    text = f"region {dma.source_region} {dma.source:#x} -> {to}, {dma.length:,} bytes"
    if dma.source_strided or dma.destination_strided:
        ends = [
            name
            for name, strided in (
                ("source", dma.source_strided),
                ("destination", dma.destination_strided),
            )
            if strided
        ]
        text += (
            f" x {dma.size0} x {dma.size1}, {' and '.join(ends)} in steps of {dma.skip0} "
            f"and {dma.skip1}"
        )
    return text


def _block_operation(op: BlockOperation) -> list[str]:
    lines = [_title(op), f"ifm   {_feature_map(op.ifm)}{_upscale(op.upscale)}"]
    if isinstance(op, Elementwise):
        lines += _second_operand(op)
    lines.append(f"ofm   {_feature_map(op.ofm)}")
    if not isinstance(op, Elementwise):
        lines.append(f"window  {_window(op)}")
    if isinstance(op, Conv | Depthwise):
        lines.append(f"flash  weights {_range(op.weights)}; scales {_range(op.scales)}")
    lines.append(f"scale  {_scale(op)}, rounding {op.rounding.name}{_operand_scales(op)}")
    lines.append(f"activation  {_activation(op.activation)}")
    block = op.block
    second = f", ifm2 from {block.ifm2_ib_start}" if block.ifm2_ib_start else ""
    lines.append(
        f"block  {block.height} x {block.width} x {block.depth}, accumulators "
        f"{block.accumulator.name}, blockdep {block.blockdep}, SHRAM banks: ifm to "
        f"{block.ifm_ib_end}{second}, accumulators from {block.ab_start}"
    )
    return lines


def _title(op: BlockOperation) -> str:
    match op:
        case Pool():
            divisor = ", divided by valid elements" if op.divides_by_valid else ""
            return f"POOL {op.mode.name}{divisor}"
        case Elementwise():
            return f"ELEMENTWISE {op.mode.name}"
        case _:
            return type(op).__name__.upper()


def _feature_map(fm: FeatureMap) -> str:
    tiles = ""
    if fm.tile_height0 < fm.height or fm.tile_width0 < fm.width:
        others = ", ".join(f"{base:#x}" for base in fm.bases[1:])
        tiles = (
            f", tiles {fm.tile_height0} and {fm.tile_height1} rows, {fm.tile_width0} columns, "
            f"others {others}"
        )
    return (
        f"{fm.dtype.value} {fm.height} x {fm.width} x {fm.depth} {fm.layout.name} region "
        f"{fm.region} {fm.bases[0]:#x}, strides y {fm.stride_y} x {fm.stride_x} c {fm.stride_c}, "
        f"zero {fm.zero_point}{tiles}"
    )


def _upscale(upscale: Upscale) -> str:
    return "" if upscale is Upscale.NONE else f", read at 2 x 2 ({upscale.name.lower()})"


def _second_operand(op: Elementwise) -> list[str]:
    if op.mode.unary:
        return []
    if op.ifm2 is None:
        text = f"scalar {op.scalar}"
    else:
        text = _feature_map(op.ifm2)
        dimensions = [
            name
            for name, repeated in (
                ("height", op.broadcast_height),
                ("width", op.broadcast_width),
                ("depth", op.broadcast_depth),
            )
            if repeated
        ]
        if dimensions:
            text += f", repeated along {', '.join(dimensions)}"
    return [f"ifm2  {text}{', operand A' if op.reverse_operands else ''}"]


def _window(op: BlockOperation) -> str:
    kernel = op.kernel
    text = f"{kernel.height} x {kernel.width}, stride {kernel.stride_y} x {kernel.stride_x}"
    if (kernel.dilation_y, kernel.dilation_x) != (1, 1):
        text += f", dilation {kernel.dilation_y} x {kernel.dilation_x}"
    if op.padding != Padding(0, 0, 0, 0):
        pad = op.padding
        text += f", padding top {pad.top} left {pad.left} bottom {pad.bottom} right {pad.right}"
    if isinstance(op, Conv):
        text += ", part-kernel first" if kernel.part_kernel_first else ", depth first"
    return text


def _range(flash: FlashRange) -> str:
    return f"region {flash.region} {flash.address:#x}, {flash.length:,} bytes"


def _scale(op: BlockOperation) -> str:
    if op.ofm_scale is not None:
        return f"{op.ofm_scale.multiplier} >> {op.ofm_scale.shift}"
    return "none" if isinstance(op, Elementwise) else "per channel"


def _operand_scales(op: BlockOperation) -> str:
    if not isinstance(op, Elementwise) or op.mode not in (ElementwiseMode.ADD, ElementwiseMode.SUB):
        return ""
    if op.scaling is OperandScaling.BOTH_16BIT:
        return f"; A x {op.opa_scale.multiplier}, B x {op.opb_scale}"
    which = "A" if op.scaling is OperandScaling.A_32BIT else "B"
    return f"; {which} x {op.opa_scale.multiplier} >> {op.opa_scale.shift} in 32 bits"


def _activation(activation: Activation) -> str:
    text = f"clamp {activation.minimum} .. {activation.maximum}"
    if activation.clip is not None:
        text += f" as {activation.clip.value}"
    if activation.function is ActivationFunction.LOOKUP:
        return f"{text}, look-up in table {activation.lut_index}"
    if activation.function is not ActivationFunction.NONE:
        return f"{text}, {activation.function.value}"
    return text
