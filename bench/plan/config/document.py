"""A TOML document before its keys are interpreted: read, parsed, and free of impossible values.

TOML allows more than any setting: numbers that fit no machine word, infinities, invisible
characters. They are refused here, by key, so no user of a value has to consider them.
"""

from __future__ import annotations

import math
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.core.errors import ConfigError
from bench.core.files import read_regular
from bench.core.text import one_line

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["parse_document", "read_text"]

_LARGEST_FILE = 1 << 20
_LONGEST_TEXT = 4096
_DEEPEST = 32


def read_text(path: Path) -> str:
    """The text of the configuration at `path`: UTF-8, with or without a byte order mark.

    Raises:
        ConfigError: it is missing, not a regular file, too large, or not UTF-8.
    """
    try:
        return read_regular(path, _LARGEST_FILE).decode("utf-8-sig")
    except (OSError, UnicodeError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"{path}: cannot be read: {said}",
            cure="name the configuration with --bench-config FILE, or run where bench.toml is",
        ) from error


def parse_document(text: str, path: Path) -> dict[str, Any]:
    """The tables of `text`, which came from `path`.

    Raises:
        ConfigError: it is not TOML, or values are impossible for any setting; one line for each.
    """
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {one_line(str(error))}") from error
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply") from None
    except ValueError:
        # Python's own limit, because their conversion could take forever.
        raise ConfigError(f"{path}: holds a number of thousands of digits") from None
    problems = [f"{path}: {one_line(key)}: {what}" for key, what in _refused(document)]
    if problems:
        raise ConfigError("\n".join(problems))
    return document


def _refused(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, what is wrong with its value), in no particular order."""
    # Not recursive, because the depth is one of the things to check.
    open_values: list[tuple[str, int, Any]] = [("", 0, document)]
    while open_values:
        where, depth, value = open_values.pop()
        if depth > _DEEPEST:
            yield where, "is nested too deeply"
        elif isinstance(value, dict):
            for key, inner in value.items():
                place = f"{where}.{key}" if where else key
                if problem := _problem_with_text(key):
                    yield place, f"the key {problem}"
                open_values.append((place, depth + 1, inner))
        elif isinstance(value, list):
            open_values += [(f"{where}[{i}]", depth + 1, v) for i, v in enumerate(value)]
        elif problem := _problem_with(value):
            yield where, problem


def _problem_with(value: object) -> str:
    """Why no setting can have this value, which is neither table nor array; empty if one can."""
    if isinstance(value, str):
        return _problem_with_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} is not a finite number"
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return "the number does not fit into 64 bits"
    return ""


def _problem_with_text(text: str) -> str:
    if len(text) > _LONGEST_TEXT:
        return f"has {len(text):,} characters, more than {_LONGEST_TEXT:,}"
    hidden = next((c for c in text if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")), None)
    return "" if hidden is None else f"holds the control character {one_line(hidden)}"
