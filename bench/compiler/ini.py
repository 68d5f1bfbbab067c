"""Checks of a Vela configuration file before Vela reads it.

Vela reads the file twice, with two parsers: Python's `configparser` (for the CSV's bandwidth
columns) and regor's own (for scheduling and cycles). They silently disagree. Experiments with Vela
5.2.0 showed:

- a system configuration whose name does not begin with exactly `Ethos_U55` gets a wider AXI
  port, which halves the flash cycles;
- the first accepts a key in the wrong case, the second ignores it;
- both ignore a misspelt key and use its default;
- only the first understands `key: value`.

So a file is accepted only if both read it in the same way.
"""

from __future__ import annotations

import configparser
import math
import re
from pathlib import Path

from bench.core.errors import ConfigError
from bench.core.files import read_regular, reason

__all__ = ["CONFIG_BYTES_MAX", "SYSTEM_CONFIG_PREFIX", "check_sections"]

#: The largest configuration file that is read, in bytes; Arm's has a few thousand.
CONFIG_BYTES_MAX = 1 << 20

SYSTEM_CONFIG_PREFIX = "Ethos_U55"

_SYSTEM = "System_Config."
_MEMORY = "Memory_Mode."
_NAME = re.compile(rf"{SYSTEM_CONFIG_PREFIX}[A-Za-z0-9_]*")
_MEMORIES = ("Sram", "Dram", "OnChipFlash", "OffChipFlash")
_MEMORY_KEYS = (
    "clock_scale",
    "ports_used",
    "burst_length",
    "read_latency",
    "write_latency",
    "max_reads",
    "max_writes",
)
_SYSTEM_REQUIRED = ("core_clock", "axi0_port", "axi1_port")
_SYSTEM_KEYS = frozenset(
    ["inherit", *_SYSTEM_REQUIRED, *(f"{m}_{key}" for m in _MEMORIES for key in _MEMORY_KEYS)]
)
_MODE_REQUIRED = ("const_mem_area", "arena_mem_area", "cache_mem_area")
_MODE_KEYS = frozenset(["inherit", *_MODE_REQUIRED, "arena_cache_size"])
_WORD_VALUES = {
    "axi0_port": _MEMORIES,
    "axi1_port": _MEMORIES,
    "const_mem_area": ("Axi0", "Axi1"),
    "arena_mem_area": ("Axi0", "Axi1"),
    "cache_mem_area": ("Axi0", "Axi1"),
}


def check_sections(path: Path, system_config: str, memory_mode: str) -> None:
    """Check that `path` has both sections, and that Vela's two parsers read them in the same way.

    Follows `inherit`. Raises `ConfigError`, which names the file and the section or key.
    """
    if path.suffix != ".ini":
        raise ConfigError(
            f"Vela configuration file {path}: Vela accepts only the extension .ini",
            cure="rename the file",
        )
    parser = _parse(path)
    _check_exists(parser, path, _SYSTEM, system_config)
    if not _NAME.fullmatch(system_config):
        raise ConfigError(
            f"{path}: [{_SYSTEM}{system_config}]: the name of a system configuration must "
            f"begin with {SYSTEM_CONFIG_PREFIX} and hold only letters, digits and underscores; "
            "Vela takes the width of the AXI port from it and would halve the flash cycles",
            cure=f"rename the section to [{_SYSTEM}{SYSTEM_CONFIG_PREFIX}_...]",
        )
    _check_exists(parser, path, _MEMORY, memory_mode)
    system = _resolve(parser, path, _SYSTEM + system_config, _SYSTEM_KEYS)
    mode = _resolve(parser, path, _MEMORY + memory_mode, _MODE_KEYS)
    _check_values(path, _SYSTEM + system_config, system, _SYSTEM_REQUIRED)
    _check_values(path, _MEMORY + memory_mode, mode, _MODE_REQUIRED)


def _parse(path: Path) -> configparser.ConfigParser:
    # No interpolation, because regor has none, and '%' is not legal in any value. Only '=' for the
    # same reason.
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(read_regular(path, CONFIG_BYTES_MAX).decode("utf-8"), source=str(path))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise ConfigError(
            f"cannot read the Vela configuration file {path}: {reason(error)}",
            cure="give an existing UTF-8 file of [section] and key=value lines",
        ) from error
    return parser


def _check_exists(parser: configparser.ConfigParser, path: Path, prefix: str, name: str) -> None:
    if parser.has_section(prefix + name):
        return
    names = sorted(s.removeprefix(prefix) for s in parser.sections() if s.startswith(prefix))
    if prefix == _SYSTEM:
        names = [known for known in names if _NAME.fullmatch(known)]
    raise ConfigError(
        f"{path}: there is no section [{prefix}{name}]",
        cure=f"use one that exists ({', '.join(names) or 'there is none'}) or add the section",
    )


def _resolve(
    parser: configparser.ConfigParser, path: Path, section: str, known: frozenset[str]
) -> dict[str, str]:
    """The section's keys and those of its `inherit` chain; a section overrides its parent."""
    chain = [section]
    while parent := parser.get(chain[-1], "inherit", fallback=None):
        if parent in chain:
            raise ConfigError(
                f"{path}: [{chain[-1]}] inherit={parent}: the sections inherit in a circle",
                cure="remove one of the inherit lines",
            )
        if not parser.has_section(parent):
            raise ConfigError(
                f"{path}: [{chain[-1]}] inherit={parent}: there is no such section",
                cure="name a section in full, for example inherit=" + section,
            )
        chain.append(parent)
    values: dict[str, str] = {}
    for name in reversed(chain):
        for key, value in parser.items(name):
            if key not in known:
                raise ConfigError(
                    f"{path}: [{name}] {key}: Vela does not know this key (its case counts) "
                    "and would ignore it",
                    cure=f"use one of {', '.join(sorted(known))}",
                )
            values[key] = value
    return values


def _check_values(
    path: Path, section: str, values: dict[str, str], required: tuple[str, ...]
) -> None:
    for key in required:
        if key not in values:
            raise ConfigError(
                f"{path}: [{section}] {key}: missing; Vela would assume a default",
                cure="set the key",
            )
    for key, value in values.items():
        if key == "inherit":
            continue
        if key in _WORD_VALUES:
            if value not in _WORD_VALUES[key]:
                raise ConfigError(
                    f"{path}: [{section}] {key}={value}: not one of {', '.join(_WORD_VALUES[key])}",
                    cure="correct the value",
                )
        elif not _is_number(value):
            raise ConfigError(
                f"{path}: [{section}] {key}={value}: not a number of zero or more",
                cure="write a plain number, without unit or comment on the same line",
            )


def _is_number(value: str) -> bool:
    try:
        number = float(value)
    except ValueError:
        return False
    return math.isfinite(number) and number >= 0
