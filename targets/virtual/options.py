"""The FVP's command line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from bench.core.files import read_regular, reason
from targets.virtual.clock import Limits
from targets.virtual.errors import ParameterError
from targets.virtual.parameters import Value, parse_parameters

__all__ = ["DataFile", "Dump", "Options", "parse_options"]

_CORE = re.compile(r"cpu0=")
_MEMORY = re.compile(r"Memory:")


@dataclass(frozen=True)
class DataFile:
    """A file to load unchanged."""

    path: Path
    address: int


@dataclass(frozen=True)
class Dump:
    """Memory to write to a file at the end."""

    path: Path
    address: int
    size: int


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    application: Path | None
    data: tuple[DataFile, ...]
    dumps: tuple[Dump, ...]
    parameters: dict[str, Value]
    limits: Limits
    statistics: bool
    quiet: bool
    show_version: bool
    list_parameters: bool


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ParameterError(message)


def parse_options(arguments: Sequence[str]) -> Options:
    """Read the command line. Raises `ParameterError`."""
    parsed = _parser().parse_args(arguments)
    assignments = [
        *(line for path in parsed.config_file for line in _config_lines(path)),
        *parsed.parameter,
    ]
    return Options(
        application=_application(parsed.application),
        data=tuple(map(_data_file, parsed.data)),
        dumps=tuple(map(_dump, parsed.dump)),
        parameters=parse_parameters(assignments),
        limits=Limits(parsed.timelimit, parsed.cpulimit, parsed.simlimit, parsed.cyclelimit),
        statistics=parsed.stat,
        quiet=parsed.quiet,
        show_version=parsed.version,
        list_parameters=parsed.list_params,
    )


def _parser() -> _Parser:
    parser = _Parser(prog="Virtual_Corstone_300", allow_abbrev=False)
    add = parser.add_argument
    parser.register("type", "seconds", _seconds)
    add("-a", "--application", metavar="[cpu0=]FILE", help="the program, an ELF file")
    add(
        "--data",
        metavar="[cpu0=]FILE@ADDRESS",
        help="a file to load unchanged",
        action="append",
        default=[],
    )
    add(
        "-C",
        "--parameter",
        metavar="KEY=VALUE",
        help="set a parameter",
        action="append",
        default=[],
    )
    add(
        "-f",
        "--config-file",
        metavar="FILE",
        help="a file of parameters",
        action="append",
        default=[],
    )
    add(
        "--dump",
        metavar="[cpu0=]FILE@[Memory:]ADDRESS,SIZE",
        help="save memory",
        action="append",
        default=[],
    )
    add("-T", "--timelimit", type="seconds", help="stop after this many seconds of wall time")
    add("--cpulimit", type="seconds", help="stop after this many seconds of CPU time")
    add("--simlimit", type="seconds", help="stop after this many seconds of simulated time")
    add("--cyclelimit", type=int, help="stop after this many simulated cycles")
    add("--stat", action="store_true", help="print statistics at the end")
    add("-q", "--quiet", action="store_true", help="no banner")
    add("--version", action="store_true", help="print the version and stop")
    add("-l", "--list-params", action="store_true", help="print the parameters and stop")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise ValueError(text)
    return seconds


def _config_lines(path: str) -> list[str]:
    try:
        lines = read_regular(Path(path), 1 << 20).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"cannot read the parameters in {path}: {reason(error)}") from error
    stripped = (line.partition("#")[0].strip() for line in lines)
    return [line for line in stripped if line]


def _application(text: str | None) -> Path | None:
    return None if text is None else Path(_CORE.sub("", text, count=1))


def _data_file(text: str) -> DataFile:
    path, at, address = _CORE.sub("", text, count=1).rpartition("@")
    if not at or not path:
        raise ParameterError(f"--data '{text}' is not of the form FILE@ADDRESS")
    return DataFile(Path(path), _number(_MEMORY.sub("", address, count=1), text))


def _dump(text: str) -> Dump:
    path, at, place = _CORE.sub("", text, count=1).rpartition("@")
    address, comma, size = _MEMORY.sub("", place, count=1).partition(",")
    if not at or not path or not comma:
        raise ParameterError(f"--dump '{text}' is not of the form FILE@ADDRESS,SIZE")
    return Dump(Path(path), _number(address, text), _number(size, text))


def _number(text: str, whole: str) -> int:
    try:
        return int(text, 0)
    except ValueError as error:
        raise ParameterError(f"'{text}' in '{whole}' is not a number") from error
