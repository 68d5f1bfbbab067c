"""Command streams of Vela's to operations: what they say, every rule broken once, and fuzzing."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.compiler import VelaOptions, compile_model
from targets.artefact import load_artefact
from targets.artefact.errors import StreamError
from targets.artefact.stream.decode import decode
from targets.artefact.stream.operations import (
    Conv,
    DataType,
    Depthwise,
    Dma,
    Elementwise,
    ElementwiseMode,
    Operation,
    Pool,
    PoolMode,
    Stop,
)
from targets.artefact.stream.registers import COMMANDS, Op, Reg
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from tests.support.models.vela_files import run_vela, small_mlp, zoo
from tests.support.promises import Costs, hold
from tests.support.streams.commands import (
    FUZZ,
    MACS,
    Words,
    any_word,
    assert_decodes_or_faults,
    attempt,
    join,
    known_word,
    split,
)


def fields(operation: Operation) -> Operation:
    """The operation wherever it stood in its stream."""
    return replace(operation, word=0, issue_words=0)


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Words:
    """Two dense layers and a softmax: CONV, POOL, ELEMENTWISE, DMA."""
    path = run_vela(small_mlp(softmax=True), tmp_path_factory.mktemp("mlp"), macs=MACS)
    return load_artefact(path).npu_operators[0].payload.commands


@pytest.fixture(scope="module")
def convolution(stream: Words) -> Words:
    """The first CONV of the stream and what it needs, then STOP."""
    commands = split(stream)
    kept = []
    for command in commands:
        code = command[0] & 0xFFFF
        if code >= 0x100:
            kept.append(command)
        elif code == Op.CONV:
            return join([*kept, command, [Op.STOP]])
    raise AssertionError("no CONV")


def test_a_stream_becomes_its_operations(stream: Words) -> None:
    operations = decode(stream, MACS)
    assert isinstance(operations[-1], Stop)
    assert operations[-1].word == len(stream) - 1
    assert sum(operation.issue_words for operation in operations) == len(stream)
    for operation in operations:
        code = int(stream[operation.word]) & 0xFFFF
        assert COMMANDS[code].name.startswith("NPU_OP_")
        assert type(operation).__name__.upper() == Op(code).name.split("_START")[0].replace("_", "")
    first, second = (op for op in operations if isinstance(op, Conv))
    # What the model says, not what the registers say.
    assert (first.ifm.depth, first.ofm.depth) == (40, 24)
    assert (second.ifm.depth, second.ofm.depth) == (24, 10)
    assert first.ifm.dtype is DataType.INT8
    assert first.ifm.zero_point == -128
    assert (first.activation.minimum, first.activation.maximum) == (-128, 127)
    # The second layer reads what the first has written.
    assert second.ifm.bases[0] == first.ofm.bases[0]
    assert second.ifm.region == first.ofm.region
    modes = [op.mode for op in operations if isinstance(op, Pool)]
    assert modes == [PoolMode.MAX, PoolMode.REDUCE_SUM]
    (table,) = (op for op in operations if isinstance(op, Dma) and op.destination_region is None)
    assert (table.length, table.destination % 256) == (1024, 0)
    clz = [op for op in operations if isinstance(op, Elementwise) and op.mode.unary]
    assert [op.mode for op in clz] == [ElementwiseMode.CLZ]
    assert all(op.ifm2 is None and op.scalar is None for op in clz)


def test_every_register_an_operation_reads_must_have_been_set(convolution: Words) -> None:
    commands = split(convolution)
    whole = decode(convolution, MACS)
    needed = set()
    for i, command in enumerate(commands[:-2]):
        name = COMMANDS[command[0] & 0xFFFF].name
        rest = join([*commands[:i], *commands[i + 1 :]])
        outcome = attempt(rest)
        if isinstance(outcome, StreamError):
            assert f"needs {name}" in str(outcome)
            assert outcome.operation == "NPU_OP_CONV"
            assert outcome.word == len(rest) - 2
            needed.add(name)
        else:
            assert fields(outcome[0]) == fields(whole[0])
    assert {"NPU_SET_IFM_BASE0", "NPU_SET_WEIGHT_LENGTH", "NPU_SET_BLOCKDEP"} <= needed
    assert len(needed) >= 40


def patched(words: Words, register: Reg, parameter: int, payload: int | None = None) -> Words:
    """The stream with one register set anew before its last operation."""
    command = [register | parameter << 16, *([] if payload is None else [payload])]
    commands = split(words)
    return join([*commands[:-2], command, *commands[-2:]])


@pytest.mark.parametrize(
    ("register", "parameter", "payload", "says"),
    [
        (Reg.WEIGHT1_BASE, 0, 0, "Ethos-U65"),
        (Reg.WEIGHT_LENGTH, 0, 0, "0 bytes"),
        (Reg.WEIGHT_LENGTH, 0, 24, "multiple of 16"),
        (Reg.WEIGHT_BASE, 0, 8, "multiple of 16"),
        (Reg.SCALE_LENGTH, 0, 16, "scales for 24 channels"),
        (Reg.IFM_PRECISION, 0x0C | 1, None, "int64"),
        (Reg.IFM_PRECISION, 0x08, None, "uint32"),
        (Reg.IFM_PRECISION, 0x81, None, "unknown layout 2"),
        (Reg.OFM_PRECISION, 0xC001, None, "rounding mode 3"),
        (Reg.OFM_STRIDE_Y, 0, 7, "multiple of 16"),
        (Reg.ACTIVATION, 1, None, "function 1"),
        (Reg.ACTIVATION, 0x1000, None, "clip range 1"),
        (Reg.IFM_PAD_TOP, 1, None, "leaves an IFM of 0 x 1"),
    ],
)
def test_contradictory_registers(
    convolution: Words, register: Reg, parameter: int, payload: int | None, says: str
) -> None:
    words = patched(convolution, register, parameter, payload)
    with pytest.raises(StreamError, match=says) as caught:
        decode(words, MACS)
    assert caught.value.word == len(words) - 2
    assert caught.value.operation == "NPU_OP_CONV"


def test_the_input_follows_from_kernel_stride_padding_and_upscale(convolution: Words) -> None:
    words = convolution
    for register, parameter in (
        (Reg.OFM_HEIGHT_M1, 9),
        (Reg.OFM_WIDTH_M1, 4),
        (Reg.KERNEL_HEIGHT_M1, 4),  # 3 rows, dilation 2
        (Reg.KERNEL_WIDTH_M1, 2),
        (Reg.KERNEL_STRIDE, 1 << 4 | 1 << 0 | 1 << 9 | 1 << 2),  # stride 3 x 2
        (Reg.IFM_PAD_TOP, 2),
        (Reg.IFM_PAD_BOTTOM, 1),
        (Reg.IFM_PAD_RIGHT, 1),
    ):
        words = patched(words, register, parameter)
    operation = decode(words, MACS)[0]
    assert isinstance(operation, Conv)
    kernel = operation.kernel
    assert (kernel.height, kernel.width) == (3, 3)
    assert (kernel.stride_y, kernel.stride_x) == (3, 2)
    assert (kernel.dilation_y, kernel.dilation_x) == (2, 1)
    assert kernel.part_kernel_first
    # 9 strides of 3 and a window of 5, less 3 of padding; 4 strides of 2 and 3, less 1.
    assert (operation.ifm.height, operation.ifm.width) == (29, 10)
    upscaled = decode(patched(words, Reg.IFM_UPSCALE, 1), MACS)[0]
    assert isinstance(upscaled, Conv)
    assert (upscaled.ifm.height, upscaled.ifm.width) == (15, 5)


def test_negative_strides_and_addresses_beyond_32_bits(convolution: Words) -> None:
    words = patched(convolution, Reg.IFM_STRIDE_Y, 0xFF, 0xFFFF_FFF0)
    words = patched(words, Reg.IFM_BASE0, 0x01, 0x20)
    operation = decode(words, MACS)[0]
    assert isinstance(operation, Conv)
    assert operation.ifm.stride_y == -16
    assert operation.ifm.bases[0] == (1 << 32) + 0x20


@FUZZ
@given(st.data())
def test_mutated_streams(stream: Words, data: st.DataObject) -> None:
    commands = split(stream)
    place = st.integers(0, len(commands) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(place)
        match data.draw(st.sampled_from(["bit", "word", "drop", "swap", "cut"])):
            case "bit":
                word = data.draw(st.integers(0, len(commands[at]) - 1))
                commands[at] = [*commands[at]]
                commands[at][word] ^= 1 << data.draw(st.integers(0, 31))
            case "word":
                commands[at] = [data.draw(st.one_of(any_word, known_word)), *commands[at][1:]]
            case "drop":
                commands[at] = []
            case "swap":
                other = data.draw(place)
                commands[at], commands[other] = commands[other], commands[at]
            case "cut":
                commands[at:] = [[]] * (len(commands) - at)
        commands = [command or [Op.DMA_WAIT] for command in commands]
    assert_decodes_or_faults(join(commands))


@FUZZ
@given(st.data())
def test_truncated_streams(stream: Words, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(stream) - 1))
    with pytest.raises(StreamError):
        decode(stream[:end], MACS)


@pytest.mark.speed
def test_a_real_stream_decodes_in_20_ms(tmp_path: Path) -> None:
    model = zoo() / "vww_96_int8.tflite"
    options = VelaOptions(accelerator=Accelerator.U55_128, memory_mode=MemoryMode.SHARED_SRAM)
    compiled = compile_model(model, options, tmp_path)
    payload = load_artefact(compiled.path(tmp_path)).npu_operators[0].payload

    def measure() -> Costs:
        began = time.process_time()
        operations = decode(payload.commands, payload.macs)
        taken = time.process_time() - began
        assert sum(isinstance(op, Depthwise) for op in operations) >= 13
        return Costs(times={"decode": 1000 * taken})

    hold(measure, Costs(times={"decode": 20}))
