"""Build the firmware: `python -m targets.firmware.build [--compiler zig|gcc] [--output FILE]`.

The cross compiler from PyPI (`ziglang`, which is clang and lld) makes the ELF that ships. Its
version is pinned, so the same sources give the same bytes everywhere. `arm-none-eabi-gcc` also
builds these sources; its result is not compared with anything.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Sequence
from enum import Enum
from importlib.util import find_spec
from pathlib import Path

from bench.core.errors import BenchError, BuildError, PrerequisiteError
from bench.core.files import write_atomically
from bench.core.processes import Bounds, TimedOutError, run_to_end
from targets.firmware import ELF_NAME, FIRMWARE_DIRECTORY

__all__ = ["Compiler", "build", "main"]

_COMMON = (
    "-std=c11",
    "-Os",
    "-g0",
    "-s",
    "-ffreestanding",
    "-fno-builtin",
    "-fno-common",
    "-fno-stack-protector",
    "-ffunction-sections",
    "-fdata-sections",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wconversion",
    "-Wshadow",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-nostdlib",
    "-Wl,--gc-sections",
    "-Wl,--build-id=none",
    "-Wl,--entry=reset_handler",
)
_TIMEOUT_SECONDS = 300


class Compiler(str, Enum):
    """What can build the firmware."""

    ZIG = "zig"
    GCC = "gcc"


def build(output: Path, compiler: Compiler, sources: Path = FIRMWARE_DIRECTORY) -> None:
    """Compile and link the C files in `sources` into the ELF file `output`.

    Raises `PrerequisiteError` when the compiler is not installed, and `BuildError` with the
    compiler's text when it fails.
    """
    command = [
        *_driver(compiler),
        *_COMMON,
        f"-ffile-prefix-map={sources}=.",
        "-T",
        str(sources / "link.ld"),
        *map(str, sorted(sources.glob("*.c"))),
        "-o",
        str(output),
    ]
    try:
        done = run_to_end(command, Bounds(_TIMEOUT_SECONDS))
    except TimedOutError as error:
        raise BuildError(f"{command[0]} did not finish in {_TIMEOUT_SECONDS} s") from error
    if done.status:
        raise BuildError(f"building the firmware failed:\n{done.errors or done.output}")


def _driver(compiler: Compiler) -> list[str]:
    if compiler is Compiler.ZIG:
        if find_spec("ziglang") is None:
            raise PrerequisiteError(
                "the package ziglang is not installed",
                cure="install the development requirements (make test does)",
            )
        # Without -fno-sanitize, zig would add checks that need its run-time library.
        return [
            *(sys.executable, "-m", "ziglang", "cc"),
            *("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m33"),
            *("-fno-sanitize=all", "-Wl,-z,max-page-size=4"),
        ]
    found = shutil.which("arm-none-eabi-gcc")
    if found is None:
        raise PrerequisiteError(
            "arm-none-eabi-gcc is not in PATH",
            cure="install gcc-arm-none-eabi, or build with --compiler zig",
        )
    return [found, "-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=soft"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, and write `FILE.sha256` next to the ELF. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="targets.firmware.build", description=__doc__)
    parser.add_argument("--compiler", type=Compiler, choices=tuple(Compiler), default=Compiler.ZIG)
    parser.add_argument("--output", type=Path, default=FIRMWARE_DIRECTORY / ELF_NAME)
    options = parser.parse_args(arguments)
    record = options.output.with_name(options.output.name + ".sha256")
    try:
        with tempfile.TemporaryDirectory(prefix="bench-firmware-") as name:
            made = Path(name, ELF_NAME)
            build(made, options.compiler)
            elf = made.read_bytes()
        digest = hashlib.sha256(elf).hexdigest()
        write_atomically(options.output, elf)
        write_atomically(record, f"{digest}  {options.output.name}\n")
    except (BenchError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{digest}  {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
