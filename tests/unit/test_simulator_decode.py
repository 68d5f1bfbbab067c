"""Command streams to operations: real streams, every rule broken once, and fuzzing."""

from __future__ import annotations

import numpy as np
import pytest
from ethosu.vela.ethos_u55_regs.ethos_u55_regs import cmd0, cmd1
from hypothesis import given
from hypothesis import strategies as st

from targets.artefact.errors import StreamError
from targets.artefact.stream.decode import decode
from targets.artefact.stream.operations import (
    Dma,
)
from targets.artefact.stream.registers import COMMANDS, PAYLOAD, Op, Reg
from tests.support.streams.commands import (
    FUZZ,
    MACS,
    SHRAM_BYTES,
    Words,
    any_word,
    assemble,
    assert_decodes_or_faults,
    known_word,
)


def test_the_commands_are_velas() -> None:
    assert len(cmd0) == 60
    assert len(cmd1) == 37
    theirs = {code.value: code.name for code in cmd0}
    theirs |= {code.value | PAYLOAD: code.name for code in cmd1}
    assert {code: command.name for code, command in COMMANDS.items()} == theirs


@pytest.mark.parametrize(
    ("commands", "says"),
    [
        ([(0x004, 0)], "not a command"),
        ([(0x0003 | 0x8000, 0)], "not a command"),
        ([(0x2000 | Op.STOP, 0)], "not a command"),
        ([(PAYLOAD | 0x0FF, 0, 0)], "not a command"),
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


@FUZZ
@given(st.lists(st.one_of(any_word, known_word), max_size=60))
def test_random_words(words: list[int]) -> None:
    assert_decodes_or_faults(np.array(words, np.uint32))
