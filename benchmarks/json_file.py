"""Results of a benchmark as a JSON file, for programs that judge them."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

__all__ = ["add_json_option", "write_json"]


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add the option `--json` to a benchmark."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")


def write_json(file: Path | None, results: object) -> None:
    """Write `results`, which may hold dataclasses, if a file was requested."""
    if file is not None:
        file.write_text(json.dumps(results, default=_fields, indent=1) + "\n", encoding="utf-8")


def _fields(value: object) -> dict[str, Any]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"{type(value).__name__} is not a result")
