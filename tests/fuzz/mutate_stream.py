"""Mutations of command streams: most keep the words legal, so that they get far.

A stream is a list of `(code, parameter, payload or None)`; see `registers`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from targets.artefact.driver_actions import PayloadFormat, parse_payload
from targets.artefact.stream.registers import COMMANDS, PAYLOAD, Op, Reg

__all__ = ["mutate_payload", "mutate_payload_bytes"]

Random = np.random.Generator
_Word = tuple[int, int, int | None]
_Stream = list[_Word]

_EDGES = (0, 1, 2, 3, 7, 15, 16, 63, 64, 127, 128, 255, 256, 511, 4095, 32767, 32768, 65534, 65535)
_LONG_EDGES = (
    *(0, 1, 2, 4, 10, 15, 16, 32, 48, 64, 160, 1024, 2048, 4096, 1 << 16, 1 << 20, 1 << 24),
    *(0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFF0, 0xFFFF_FFFF),
)
_SIZES = (
    *(Reg.OFM_WIDTH_M1, Reg.OFM_HEIGHT_M1, Reg.OFM_DEPTH_M1, Reg.IFM_DEPTH_M1),
    *(Reg.KERNEL_WIDTH_M1, Reg.KERNEL_HEIGHT_M1),
)
_PADDINGS = (Reg.IFM_PAD_TOP, Reg.IFM_PAD_LEFT, Reg.IFM_PAD_BOTTOM, Reg.IFM_PAD_RIGHT)
_TILES = (
    *(Reg.IFM_WIDTH0_M1, Reg.IFM_HEIGHT0_M1, Reg.IFM_HEIGHT1_M1),
    *(Reg.OFM_WIDTH0_M1, Reg.OFM_HEIGHT0_M1, Reg.OFM_HEIGHT1_M1),
    *(Reg.IFM2_WIDTH0_M1, Reg.IFM2_HEIGHT0_M1, Reg.IFM2_HEIGHT1_M1),
)
_STRIDES = tuple(
    register
    for register in Reg
    if "_STRIDE_" in register.name and register is not Reg.KERNEL_STRIDE
)
_BASES = tuple(register for register in Reg if "_BASE" in register.name)
_BLOCKS = (Reg.OFM_BLK_WIDTH_M1, Reg.OFM_BLK_HEIGHT_M1, Reg.OFM_BLK_DEPTH_M1)
_DMA = tuple(register for register in Reg if register.name.startswith("DMA0"))
_WORKING = (Op.CONV, Op.DEPTHWISE, Op.POOL, Op.ELEMENTWISE, Op.DMA_START)


def mutate_payload(payload: bytes, random: Random) -> tuple[str, bytes]:
    """A payload with a mutated command stream, its header put right; and what was done."""
    parsed = parse_payload(payload)
    words = np.frombuffer(payload, "<u4").tolist()
    end = parsed.first_word + parsed.commands.size
    stream = _disassembled(parsed.commands.tolist())
    done = []
    for _ in range(_count(random)):
        mutation = _pick(random, _MUTATIONS)
        stream = mutation(stream, random)
        done.append(mutation.__name__.lstrip("_"))
    commands = _assembled(stream)
    if random.random() < 0.05:
        commands = _corrupted(commands, random)
        done.append("corrupted")
    head, tail = words[: parsed.first_word], words[end:]
    length = len(commands)
    if parsed.format is PayloadFormat.COP1:
        head[-1] = 2 | (length >> 16 & 0xFF) << 8 | (length & 0xFFFF) << 16
    else:
        total = 4 * (len(head) + length + len(tail) - 4)
        head[2], head[5] = total, total - 8
    return "+".join(done), np.array([*head, *commands, *tail], "<u4").tobytes()


def mutate_payload_bytes(payload: bytes, random: Random) -> tuple[str, bytes]:
    """A payload mutated without regard to what stands where: driver actions included."""
    words = np.frombuffer(payload, "<u4").copy()
    for _ in range(_count(random)):
        # Half of them hit the driver actions, which are only a few words.
        at = int(random.integers(0, min(16, words.size) if random.random() < 0.5 else words.size))
        words[at] = (
            (int(words[at]) ^ 1 << int(random.integers(32)))
            if random.random() < 0.5
            else (_long(random))
        )
    content = words.tobytes()
    if random.random() < 0.2:
        content = content[: int(random.integers(0, len(content) + 1))]
    return "payload words", content


def _disassembled(words: list[int]) -> _Stream:
    stream: _Stream = []
    at = 0
    while at < len(words):
        code, parameter = words[at] & 0xFFFF, words[at] >> 16
        payload = words[at + 1] if code & PAYLOAD else None
        stream.append((code, parameter, payload))
        at += 1 if payload is None else 2
    return stream


def _assembled(stream: _Stream) -> list[int]:
    words = []
    for code, parameter, payload in stream:
        words.append(parameter << 16 | code)
        if payload is not None:
            words.append(payload)
    return words


def _count(random: Random) -> int:
    return int(min(1 + random.geometric(0.5), 6)) if random.random() < 0.6 else 1


def _pick(random: Random, choices):  # type: ignore[no-untyped-def]
    return choices[int(random.integers(len(choices)))]


def _long(random: Random) -> int:
    if random.random() < 0.5:
        return int(_pick(random, _LONG_EDGES))
    if random.random() < 0.5:
        return 16 * int(random.integers(0, 4096))
    return int(random.integers(0, 1 << 32))


def _value(code: int, random: Random) -> _Word:
    """A word with `code` and legal bits: edges, small values, anything."""
    command = COMMANDS[code]
    mask = command.parameter_mask
    parameter = int(_pick(random, _EDGES)) if random.random() < 0.6 else int(random.integers(65536))
    parameter = min(parameter & mask, command.parameter_max)
    if not code & PAYLOAD:
        return code, parameter, None
    # The high bits of an address are mostly 0, or all set: a negative number.
    if command.is_address and random.random() < 0.9:
        parameter = 0xFF if random.random() < 0.2 else 0
    return code, parameter, min(_long(random), command.payload_max)


def _near(word: _Word, random: Random) -> _Word:
    """A little more or less than a word holds."""
    code, parameter, payload = word
    step = int(_pick(random, (-16, -2, -1, 1, 2, 16)))
    if payload is None:
        return code, (parameter + step) & 0xFFFF, None
    return code, parameter, (payload + 16 * step) & 0xFFFF_FFFF


def _places(stream: _Stream, codes: tuple[int, ...]) -> list[int]:
    return [at for at, (code, _, _) in enumerate(stream) if code in codes]


def _operation(stream: _Stream, random: Random) -> int:
    """Where one of the working operations stands; the end if there is none left."""
    places = _places(stream, _WORKING)
    return int(_pick(random, places)) if places else len(stream)


def _set_before(stream: _Stream, at: int, words: list[_Word]) -> _Stream:
    return [*stream[:at], *words, *stream[at:]]


def _change(stream: _Stream, random: Random) -> _Stream:
    at = int(random.integers(len(stream)))
    word = stream[at]
    changed = _near(word, random) if random.random() < 0.4 else _value(word[0], random)
    return [*stream[:at], changed, *stream[at + 1 :]]


def _insert(stream: _Stream, random: Random) -> _Stream:
    word = _value(int(_pick(random, tuple(COMMANDS))), random)
    return _set_before(stream, int(random.integers(len(stream))), [word])


def _delete(stream: _Stream, random: Random) -> _Stream:
    at = int(random.integers(len(stream)))
    end = at + int(random.integers(1, 4))
    return [*stream[:at], *stream[end:]] or stream


def _repeat(stream: _Stream, random: Random) -> _Stream:
    at = int(random.integers(len(stream)))
    part = stream[at : at + int(random.integers(1, 30))]
    part = [word for word in part if word[0] != Op.STOP]
    return _set_before(stream, at, part * int(_pick(random, (1, 2, 10))))


def _swap(stream: _Stream, random: Random) -> _Stream:
    a, b = (int(random.integers(len(stream))) for _ in range(2))
    swapped = list(stream)
    swapped[a], swapped[b] = swapped[b], swapped[a]
    return swapped


def _exchange_operation(stream: _Stream, random: Random) -> _Stream:
    """The registers of one operation, but another one is issued."""
    at = _operation(stream, random)
    return [*stream[:at], _value(int(_pick(random, _WORKING)), random), *stream[at + 1 :]]


def _no_stop(stream: _Stream, random: Random) -> _Stream:
    return [word for word in stream if word[0] != Op.STOP] or stream


def _waits(stream: _Stream, random: Random) -> _Stream:
    wait = _value(int(_pick(random, (Op.KERNEL_WAIT, Op.DMA_WAIT, Op.IRQ, Op.PMU_MASK))), random)
    at = int(random.integers(len(stream)))
    return _set_before(stream, at, [wait] * int(random.integers(1, 20_000)))


def _addresses(stream: _Stream, random: Random) -> _Stream:
    at = _operation(stream, random)
    words = [_value(int(_pick(random, _BASES + _STRIDES)), random) for _ in range(3)]
    return _set_before(stream, at, words)


def _sizes(stream: _Stream, random: Random) -> _Stream:
    at = _operation(stream, random)
    registers = _SIZES + _TILES + _BLOCKS + _PADDINGS
    words = [_value(int(_pick(random, registers)), random) for _ in range(3)]
    return _set_before(stream, at, words)


def _dma(stream: _Stream, random: Random) -> _Stream:
    """A transfer of any mode between any regions; often with sizes that could be meant."""
    words: _Stream = []
    for register in _DMA:
        word = _value(register, random)
        if word[2] is not None and random.random() < 0.7:
            word = (word[0], 0, 16 * int(random.integers(0, 40)))
        elif register in (Reg.DMA0_SIZE0, Reg.DMA0_SIZE1) and random.random() < 0.7:
            word = (word[0], int(random.integers(1, 5)), None)
        elif register in (Reg.DMA0_SRC_REGION, Reg.DMA0_DST_REGION):
            mode = int(random.integers(0, 3)) << 9
            word = (word[0], mode | int(random.integers(0, 4)), None)
        words.append(word)
    words.append((Op.DMA_START, 0, None))
    return _set_before(stream, int(random.integers(len(stream))), words)


def _giant(stream: _Stream, random: Random) -> _Stream:
    """Sizes up to the limit, strides of nothing: everything fits into a few bytes."""
    at = _operation(stream, random)
    words: _Stream = [(register, 0, 0) for register in _STRIDES]
    words += [(register, 65535, None) for register in _TILES]
    for register in (*_SIZES, *_PADDINGS):
        if random.random() < 0.5:
            low = int(random.integers(0, 17))
            size = min((1 << low) - int(random.integers(0, 2)), 65535) if low else 0
            words.append((register, max(size, 0) & COMMANDS[register].parameter_mask, None))
    if random.random() < 0.3:
        words += [(register, 0, None) for register in _BLOCKS]
    if random.random() < 0.5:
        words.append((Reg.IFM_DEPTH_M1, 0, None))
        words.append((Reg.OFM_DEPTH_M1, 0, None))
    if random.random() < 0.3:
        words.append((Reg.KERNEL_HEIGHT_M1, 0, None))
        words.append((Reg.KERNEL_WIDTH_M1, 0, None))
    if random.random() < 0.5:
        words.append((Reg.KERNEL_STRIDE, int(random.integers(65536)) & 0x25F, None))
    if random.random() < 0.2:
        words.append((Reg.IFM_UPSCALE, int(random.integers(3)), None))
    result = _set_before(stream, at, words)
    if random.random() < 0.5 and at < len(stream):
        again = int(_pick(random, (5, 200)))
        result = _set_before(result, at + len(words), [stream[at]] * again)
    return result


def _tiled(stream: _Stream, random: Random) -> _Stream:
    """Small tiles at small addresses."""
    at = _operation(stream, random)
    words: _Stream = [(register, int(random.integers(0, 12)), None) for register in _TILES]
    words += [(register, 0, 16 * int(random.integers(0, 24))) for register in _BASES]
    return _set_before(stream, at, words)


_Mutation = Callable[[_Stream, Random], _Stream]
_MUTATIONS: tuple[_Mutation, ...] = (
    *(_change, _change, _change, _change, _insert, _delete, _repeat, _swap, _exchange_operation),
    *(_no_stop, _waits, _addresses, _addresses, _sizes, _sizes, _dma, _giant, _giant, _tiled),
)


def _corrupted(words: list[int], random: Random) -> list[int]:
    result = list(words)
    if result:
        at = int(random.integers(len(result)))
        result[at] ^= 1 << int(random.integers(32))
    return result
