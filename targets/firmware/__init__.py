"""The bare-metal firmware: C sources, and the ELF built from them that ships with the project.

One ELF serves all models: it reads a job image (`targets.jobs.image`) from memory, runs it on the
NPU and answers in frames (`targets.jobs.frames`). Users need no compiler. `make firmware` rebuilds
the ELF, and a test compares the two.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from bench.core.errors import PrerequisiteError

__all__ = ["ELF_NAME", "FIRMWARE_DIRECTORY", "firmware_elf", "firmware_sha256"]

FIRMWARE_DIRECTORY = Path(__file__).resolve().parent
ELF_NAME = "bench_firmware.elf"


def firmware_elf() -> bytes:
    """The shipped firmware, checked against the hash that ships with it.

    Raises `PrerequisiteError` when it is missing or is not the file that was shipped.
    """
    elf = FIRMWARE_DIRECTORY / ELF_NAME
    expected = firmware_sha256()
    try:
        content = elf.read_bytes()
    except OSError:
        content = b""
    if hashlib.sha256(content).hexdigest() != expected:
        raise PrerequisiteError(
            f"{elf} is missing or is not the firmware with sha256 {expected}",
            cure="install the package again, or run make firmware",
        )
    return content


def firmware_sha256() -> str:
    """The sha256 of the shipped firmware, hexadecimal. Raises `PrerequisiteError`."""
    record = FIRMWARE_DIRECTORY / f"{ELF_NAME}.sha256"
    try:
        return record.read_text(encoding="ascii").split()[0]
    except (OSError, IndexError) as error:
        raise PrerequisiteError(
            f"{record} cannot be read: {error}",
            cure="install the package again, or run make firmware",
        ) from error
