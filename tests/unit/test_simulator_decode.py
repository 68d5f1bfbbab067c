"""Command streams to operations: real streams, every rule broken once, and fuzzing."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from ethosu.vela.ethos_u55_regs.ethos_u55_regs import cmd0, cmd1
from hypothesis import HealthCheck, given, settings
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
from targets.artefact.stream.registers import COMMANDS, PAYLOAD, Op, Reg
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from tests.support.models.vela_files import run_vela, small_mlp, zoo

Words = npt.NDArray[np.uint32]

MACS = 128
SHRAM_BYTES = 24 << 10

FUZZ = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def assemble(*commands: tuple[int, int] | tuple[int, int, int]) -> Words:
    """Words from (code, parameter) and (code, parameter, payload)."""
    words: list[int] = []
    for code, parameter, *payload in commands:
        words += [code | parameter << 16, *payload]
    return np.array(words, np.uint32)


def split(words: Words) -> list[list[int]]:
    """The commands of a valid stream, each with its payload."""
    commands, at = [], 0
    while at < len(words):
        length = 2 if words[at] & PAYLOAD else 1
        commands.append(words[at : at + length].tolist())
        at += length
    return commands


def join(commands: list[list[int]]) -> Words:
    return np.array([word for command in commands for word in command], np.uint32)


def attempt(words: Words) -> tuple[Operation, ...] | StreamError:
    try:
        return decode(words, MACS)
    except StreamError as error:
        return error


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


def test_the_commands_are_velas() -> None:
    assert len(cmd0) == 60
    assert len(cmd1) == 37
    theirs = {code.value: code.name for code in cmd0}
    theirs |= {code.value | PAYLOAD: code.name for code in cmd1}
    assert {code: command.name for code, command in COMMANDS.items()} == theirs


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


@pytest.mark.parametrize(
    ("commands", "says"),
    [
        ([(0x004, 0)], "no command"),
        ([(0x0003 | 0x8000, 0)], "no command"),
        ([(0x2000 | Op.STOP, 0)], "no command"),
        ([(PAYLOAD | 0x0FF, 0, 0)], "no command"),
        ([(Reg.IFM_PAD_TOP, 0x80)], "out of range"),
        ([(Reg.IFM_UPSCALE, 3)], "out of range"),
        ([(Reg.KERNEL_STRIDE, 0x20)], "out of range"),
        ([(Reg.IFM_PRECISION, 0x02)], "out of range"),
        ([(Reg.PARALLEL_MODE, 1)], "out of range"),
        ([(Op.POOL, 3)], "out of range"),
        ([(Op.ELEMENTWISE, 10)], "out of range"),
        ([(Op.CONV, 1)], "out of range"),
        ([(Reg.OFM_SCALE, 64, 1)], "out of range"),
        ([(Reg.OPB_SCALE, 0, 0x1_0000)], "out of range"),
        ([(Reg.SCALE_LENGTH, 0, 1 << 20)], "out of range"),
        ([(Reg.IFM_BASE0, 0x100, 0)], "out of range"),
        ([(Op.CONV, 0)], "never set"),
        ([(Op.DMA_START, 0)], "never set"),
    ],
)
def test_illegal_commands(commands: list[tuple[int, ...]], says: str) -> None:
    words = assemble((Op.DMA_WAIT, 0), *commands, (Op.STOP, 0))  # type: ignore[arg-type]
    with pytest.raises(StreamError, match=says) as caught:
        decode(words, MACS)
    assert caught.value.word == 1
    assert "word 1 (" in str(caught.value)


def test_a_stream_must_stop_once_and_there() -> None:
    for words, says, at in (
        (assemble(), "ends without", 0),
        (assemble((Op.DMA_WAIT, 0)), "ends without", 1),
        (assemble((Reg.IFM_BASE0, 0)), "payload", 0),
        (assemble((Op.STOP, 0), (Op.DMA_WAIT, 0)), "1 words follow", 1),
    ):
        with pytest.raises(StreamError, match=says) as caught:
            decode(words, MACS)
        assert caught.value.word == at


def test_an_accelerator_that_does_not_exist() -> None:
    with pytest.raises(StreamError, match="512 MACs"):
        decode(assemble((Op.STOP, 0)), 512)


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


def transfer(*extra: tuple[int, ...], destination: int = 0x40, region: int = 1) -> Words:
    return assemble(
        (Reg.DMA0_SRC_REGION, 0),
        (Reg.DMA0_SRC, 0, 0x100),
        (Reg.DMA0_DST_REGION, region),
        (Reg.DMA0_DST, 0, destination),
        (Reg.DMA0_LEN, 0, 256),
        *extra,  # type: ignore[arg-type]
        (Op.DMA_START, 0),
        (Op.STOP, 0),
    )


def test_transfers_of_one_two_and_three_dimensions() -> None:
    plain = decode(transfer(), MACS)[0]
    assert isinstance(plain, Dma)
    assert (plain.length, plain.size0, plain.size1) == (256, 1, 1)
    assert not plain.source_strided
    assert not plain.destination_strided
    deep = decode(
        transfer(
            (Reg.DMA0_SRC_REGION, 2 << 9),
            (Reg.DMA0_SIZE0, 3),
            (Reg.DMA0_SIZE1, 5),
            (Reg.DMA0_SKIP0, 0, 512),
            (Reg.DMA0_SKIP1, 0xFF, 0xFFFF_FF00),
        ),
        MACS,
    )[0]
    assert isinstance(deep, Dma)
    assert (deep.size0, deep.size1, deep.skip0, deep.skip1) == (3, 5, 512, -256)
    assert deep.source_strided
    assert not deep.destination_strided


def test_look_up_tables_are_the_end_of_shram() -> None:
    start = SHRAM_BYTES - 2048
    table = decode(transfer(destination=start + 512, region=0x103), MACS)[0]
    assert isinstance(table, Dma)
    assert (table.destination_region, table.destination) == (None, 512)
    for destination in (0, start - 16, start + 2048 - 240):
        with pytest.raises(StreamError, match="outside the look-up tables"):
            decode(transfer(destination=destination, region=0x103), MACS)
    # The same bytes are elsewhere in a larger SHRAM.
    with pytest.raises(StreamError, match="outside the look-up tables"):
        decode(transfer(destination=start, region=0x103), 256)


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ((Reg.DMA0_SRC_REGION, 0x100), "source"),
        ((Reg.DMA0_LEN, 0, 0), "empty"),
        ((Reg.DMA0_LEN, 0, 20), "multiple of 16"),
        ((Reg.DMA0_SRC_REGION, 3 << 9), "stride mode 3"),
        ((Reg.DMA0_SRC_REGION, 1 << 9), "NPU_SET_DMA0_SIZE0"),
    ],
)
def test_illegal_transfers(extra: tuple[int, ...], says: str) -> None:
    with pytest.raises(StreamError, match=says):
        decode(transfer(extra), MACS)


def assert_decodes_or_faults(words: Words) -> None:
    began = time.process_time()
    outcome = attempt(words)
    if isinstance(outcome, StreamError):
        assert 0 <= outcome.word <= len(words)
        assert f"word {outcome.word} (" in str(outcome)
    else:
        assert isinstance(outcome[-1], Stop)
        assert all(isinstance(operation, Operation) for operation in outcome)
    assert time.process_time() - began < 1


any_word = st.integers(0, 0xFFFF_FFFF)
known_word = st.tuples(st.sampled_from(sorted(COMMANDS)), st.integers(0, 0xFFFF)).map(
    lambda pair: pair[0] | pair[1] << 16
)


@FUZZ
@given(st.lists(st.one_of(any_word, known_word), max_size=60))
def test_random_words(words: list[int]) -> None:
    assert_decodes_or_faults(np.array(words, np.uint32))


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


def test_a_real_stream_decodes_in_20_ms(tmp_path: Path) -> None:
    model = zoo() / "vww_96_int8.tflite"
    options = VelaOptions(accelerator=Accelerator.U55_128, memory_mode=MemoryMode.SHARED_SRAM)
    compiled = compile_model(model, options, tmp_path)
    payload = load_artefact(compiled.path(tmp_path)).npu_operators[0].payload
    times = []
    for _ in range(5):
        began = time.process_time()
        operations = decode(payload.commands, payload.macs)
        times.append(time.process_time() - began)
    assert min(times) < 0.020
    assert sum(isinstance(op, Depthwise) for op in operations) >= 13
