"""What no published figure supports. Nothing was ever compared with a measurement there."""

from __future__ import annotations

from collections.abc import Iterable

from targets.artefact.stream.operations import BlockOperation, Elementwise, Operation
from targets.ethos_u55.memory_modes import MemoryMode
from targets.timing_profiles import PROFILES, TimingProfile

__all__ = ["unsupported"]

#: What every published figure of a known model has in common.
_MODE = MemoryMode.SHARED_SRAM
_PROFILE = PROFILES["u55_high_end"]


def unsupported(
    operations: Iterable[Operation], mode: MemoryMode, profile: TimingProfile, name: str
) -> tuple[str, ...]:
    """In what an estimate differs from every published one, each in a word or two.

    `name` is the profile's. A network is one of int16 if it multiplies or pools 16-bit values;
    8-bit networks have 16-bit elementwise operations as well, in their LSTMs.
    """
    found = []
    if any(_is_int16(operation) for operation in operations):
        found.append("int16")
    if mode is not _MODE:
        found.append(mode.value)
    if profile != _PROFILE:
        found.append(f"timing {name}")
    return tuple(found)


def _is_int16(operation: Operation) -> bool:
    return (
        isinstance(operation, BlockOperation)
        and not isinstance(operation, Elementwise)
        and operation.ifm.dtype.bytes == 2
    )
