"""Driver actions: what surrounds the command stream in an `ethos-u` operator's first tensor.

There are two formats; the first word says which. `COP1` is a list of tagged words: the
accelerator's configuration, padding, then the stream. `COP2` is a header followed by entries, each
with its length and metadata. The layouts are those that Vela 5.2.0 writes
(`driver_actions.py`, and regor's `custom_operator_ethosu.hpp`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from targets.artefact.errors import StreamError
from targets.ethos_u55.identification import ARCHITECTURE, CONFIG_WORDS

__all__ = ["DriverPayload", "PayloadFormat", "parse_payload"]

Words = npt.NDArray[np.uint32]

# Tags of COP1, bits 7:0 of a word.
_CONFIG = 1
_COMMAND_STREAM = 2
_NOP = 5

# COP2: 4 words of header, 2 of entry, 9 or more of metadata, then the stream.
_HEADER_WORDS = 4
_FIXED_WORDS = 15
_METADATA_AT = 7
_STREAM_ENTRY = 1
_VERSION_1_0 = 1
_VEUM = 0x4D554556
_METADATA_BYTES = 20
_NETWORK_ADDRESSING = 1
_LOCAL_ADDRESSING = 2

_ACCELERATORS = {word: accelerator for accelerator, word in CONFIG_WORDS.items()}

_CURE = "compile the model again for an Ethos-U55"


class PayloadFormat(str, Enum):
    """The four characters with which a payload begins."""

    COP1 = "COP1"
    COP2 = "COP2"


@dataclass(frozen=True)
class DriverPayload:
    """A command stream, and the accelerator it was compiled for."""

    format: PayloadFormat
    #: Multiply-accumulate units, one of `MAC_COUNTS`.
    macs: int
    id_word: int
    #: Index of the stream's first word in the payload.
    first_word: int
    #: Inputs and outputs of the operator have their own regions (3 and 4). COP2 only.
    separate_io_regions: bool
    #: The command stream, uint32 `[words]`, read-only.
    commands: Words

    @property
    def architecture(self) -> str:
        """Version of the architecture that the stream was written for, such as `1.0.6`."""
        word = self.id_word
        return f"{word >> 28}.{word >> 20 & 0xFF}.{word >> 16 & 0xF}"


def parse_payload(data: bytes) -> DriverPayload:
    """Read the driver actions in `data`, the bytes of the tensor.

    Raises `StreamError` (with the word's index in the payload) when it is malformed or was not
    written for an Ethos-U55.
    """
    if len(data) < 4 or len(data) % 4:
        raise _fault(len(data) // 4, f"{len(data)} bytes are not a sequence of 32-bit words")
    words = np.frombuffer(data, dtype="<u4").astype(np.uint32, copy=False)
    words.flags.writeable = False
    magic = data[:4]
    if magic == b"COP1":
        return _cop1(words)
    if magic == b"COP2":
        return _cop2(words)
    raise _fault(0, f"it begins with {magic!r}, not with COP1 or COP2")


def _cop1(words: Words) -> DriverPayload:
    config: tuple[int, int] | None = None
    stream: tuple[int, int] | None = None
    at = 1
    while at < len(words):
        word = int(words[at])
        tag = word & 0xFF
        if tag == _NOP and word == _NOP:
            at += 1
        elif tag == _CONFIG and config is None:
            if at + 3 > len(words):
                raise _fault(at, "the configuration is cut off")
            config = int(words[at + 1]), int(words[at + 2])
            _check_config(*config, at + 1)
            at += 3
        elif tag == _COMMAND_STREAM and stream is None:
            # 24 bits of length: 15:0 in the upper half, 23:16 in bits 15:8.
            length = (word >> 16) | (word >> 8 & 0xFF) << 16
            if length == 0 or at + 1 + length > len(words):
                raise _fault(
                    at, f"a stream of {length} words, but {len(words) - at - 1} words follow"
                )
            stream = at + 1, length
            at += 1 + length
        else:
            raise _fault(at, f"unexpected driver action {word:#010x}")
    if config is None or stream is None:
        missing = "configuration" if config is None else "command stream"
        raise _fault(len(words), f"the payload ends without a {missing}")
    first, length = stream
    return _payload(PayloadFormat.COP1, config, words, first, length, False)


def _cop2(words: Words) -> DriverPayload:
    if len(words) <= _FIXED_WORDS:
        raise _fault(len(words), "the header is cut off")
    header = [int(word) for word in words[:_FIXED_WORDS]]
    total_bytes = header[2] | header[3] << 32
    entry_bytes = header[5]
    metadata_bytes = header[6]
    for at, expected, what in (
        (1, _VERSION_1_0, "version of the header"),
        (4, _STREAM_ENTRY, "type of the first entry"),
        (7, _VEUM, "kind of metadata"),
        (8, _VERSION_1_0, "version of the metadata"),
        (9, _METADATA_BYTES, "size of the metadata"),
    ):
        if header[at] != expected:
            raise _fault(at, f"{what} is {header[at]:#x}, not {expected:#x}")
    if total_bytes != 4 * (len(words) - _HEADER_WORDS):
        raise _fault(2, f"{total_bytes} bytes stated, {4 * (len(words) - _HEADER_WORDS)} there")
    if entry_bytes != total_bytes - 8:
        raise _fault(5, f"an entry of {entry_bytes} bytes in a payload of {total_bytes}")
    least = 4 * (_FIXED_WORDS - _METADATA_AT)
    if metadata_bytes % 4 or not least <= metadata_bytes < entry_bytes - 4:
        raise _fault(6, f"{metadata_bytes} bytes of metadata in an entry of {entry_bytes}")
    config = header[10], header[11]
    _check_config(*config, 10)
    if header[12] not in (_NETWORK_ADDRESSING, _LOCAL_ADDRESSING):
        raise _fault(12, f"unknown features {header[12]:#x}")
    first = _METADATA_AT + metadata_bytes // 4
    return _payload(
        PayloadFormat.COP2,
        config,
        words,
        first,
        len(words) - first,
        header[12] == _LOCAL_ADDRESSING,
    )


def _payload(
    format_: PayloadFormat,
    config: tuple[int, int],
    words: Words,
    first: int,
    length: int,
    separate_io_regions: bool,
) -> DriverPayload:
    return DriverPayload(
        format=format_,
        macs=int(_ACCELERATORS[config[0]]),
        id_word=config[1],
        first_word=first,
        separate_io_regions=separate_io_regions,
        commands=words[first : first + length],
    )


def _check_config(config: int, identity: int, at: int) -> None:
    """Check the words that a driver would compare with the CONFIG and ID registers."""
    product = config >> 28
    if product:
        raise _fault(at, f"configuration {config:#010x} is of product {product}, no Ethos-U55")
    if config not in _ACCELERATORS:
        raise _fault(at, f"configuration {config:#010x} is none of an Ethos-U55")
    if identity >> 28 != ARCHITECTURE:
        raise _fault(
            at + 1,
            f"architecture {identity >> 28} (ID {identity:#010x}), not {ARCHITECTURE}",
        )


def _fault(word: int, what: str) -> StreamError:
    return StreamError(what, word=word, operation="driver actions", cure=_CURE)
