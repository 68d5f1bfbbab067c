"""Command streams made and taken apart word by word, and what decoding any words must come to."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from targets.artefact.errors import StreamError
from targets.artefact.stream.decode import decode
from targets.artefact.stream.operations import Operation, Stop
from targets.artefact.stream.registers import COMMANDS, PAYLOAD

__all__ = [
    "FUZZ", "MACS", "SHRAM_BYTES", "Words", "any_word", "assemble", "assert_decodes_or_faults",
    "attempt", "join", "known_word", "split",
]  # fmt: skip

Words = npt.NDArray[np.uint32]

MACS = 128
SHRAM_BYTES = 24 << 10

FUZZ = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

any_word = st.integers(0, 0xFFFF_FFFF)
known_word = st.tuples(st.sampled_from(sorted(COMMANDS)), st.integers(0, 0xFFFF)).map(
    lambda pair: pair[0] | pair[1] << 16
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


def assert_decodes_or_faults(words: Words) -> None:
    """Operations that end with a stop, or an error that says at which word; in little time."""
    began = time.process_time()
    outcome = attempt(words)
    if isinstance(outcome, StreamError):
        assert 0 <= outcome.word <= len(words)
        assert f"word {outcome.word} (" in str(outcome)
    else:
        assert isinstance(outcome[-1], Stop)
        assert all(isinstance(operation, Operation) for operation in outcome)
    assert time.process_time() - began < 1
