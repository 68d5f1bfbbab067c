"""From the words of a command stream to operations.

`decode` walks through the words once, checks each against `registers.COMMANDS`, keeps what was set,
and turns every operation command into a frozen operation that holds all its state.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from targets.artefact.errors import StreamError
from targets.artefact.stream.block_decoder import conv, depthwise, elementwise, pool
from targets.artefact.stream.dma_decoder import dma
from targets.artefact.stream.operations import DmaWait, Irq, KernelWait, Operation, PmuMask, Stop
from targets.artefact.stream.register_file import RegisterFile
from targets.artefact.stream.registers import CODE_MASK, COMMANDS, PAYLOAD, Op
from targets.ethos_u55.accelerators import MAC_COUNTS

__all__ = ["decode"]

_FIRST_REGISTER = 0x100
_CURE = "compile the model again; if it persists, the compiler is newer than this simulator"


def decode(commands: npt.NDArray[np.uint32], macs: int) -> tuple[Operation, ...]:
    """Decode a command stream for the Ethos-U55 with `macs` multiply-accumulate units.

    `commands` is uint32 `[words]`. Returns the operations in order; the last is a `Stop`.

    Raises `StreamError`, which names the word and the operation, for a word that is not a command
    of this NPU, a parameter or payload out of range, a missing payload, an operation whose
    registers were never set or contradict each other, a stream that does not stop, and words
    after the stop. Addresses are not compared with regions here.
    """
    if macs not in MAC_COUNTS:
        raise StreamError(f"there is no Ethos-U55 of {macs} MACs", word=0, operation="stream")
    words: list[int] = commands.tolist()
    registers = RegisterFile()
    values = registers.values
    operations: list[Operation] = []
    at = issued = 0
    end = len(words)
    while at < end:
        word = words[at]
        code, parameter = word & CODE_MASK, word >> 16
        command = COMMANDS.get(code)
        if command is None:
            raise _fault(at, "word", f"{word:#010x} is not a command of an Ethos-U55")
        if parameter & ~command.parameter_mask or parameter > command.parameter_max:
            raise _fault(at, command.name, f"parameter {parameter:#x} is out of range")
        if code & PAYLOAD:
            if at + 1 == end:
                raise _fault(at, command.name, "the stream ends before the payload word")
            payload = words[at + 1]
            if payload > command.payload_max:
                raise _fault(at, command.name, f"payload {payload:#x} is out of range")
            values[code] = parameter << 32 | payload
            at += 2
        elif code >= _FIRST_REGISTER:
            values[code] = parameter
            at += 1
        else:
            registers.word, registers.operation = at, command.name
            at += 1
            operations.append(_OPERATIONS[code](registers, parameter, at - issued, macs))
            issued = at
            if code == Op.STOP:
                break
    else:
        raise _fault(end, "NPU_OP_STOP", "the stream ends without it")
    if at != end:
        raise _fault(at, "NPU_OP_STOP", f"{end - at} words follow it")
    return tuple(operations)


def _fault(word: int, operation: str, what: str) -> StreamError:
    return StreamError(what, word=word, operation=operation, cure=_CURE)


# How each operation command is decoded, given registers, parameter, words issued and MACs.
_OPERATIONS: dict[int, Callable[[RegisterFile, int, int, int], Operation]] = {
    Op.STOP: lambda r, mask, issue, _: Stop(r.word, issue, mask),
    Op.IRQ: lambda r, mask, issue, _: Irq(r.word, issue, mask),
    Op.CONV: lambda r, _, issue, __: conv(r, issue),
    Op.DEPTHWISE: lambda r, _, issue, __: depthwise(r, issue),
    Op.POOL: lambda r, mode, issue, _: pool(r, mode, issue),
    Op.ELEMENTWISE: lambda r, mode, issue, _: elementwise(r, mode, issue),
    Op.DMA_START: lambda r, _, issue, macs: dma(r, issue, macs),
    Op.DMA_WAIT: lambda r, outstanding, issue, _: DmaWait(r.word, issue, outstanding),
    Op.KERNEL_WAIT: lambda r, outstanding, issue, _: KernelWait(r.word, issue, outstanding),
    Op.PMU_MASK: lambda r, enable, issue, _: PmuMask(r.word, issue, enable),
}
