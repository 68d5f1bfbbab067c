"""The models that a benchmark has to measure."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

__all__ = ["add_models_argument", "model_files"]


def add_models_argument(parser: argparse.ArgumentParser) -> None:
    """Add the argument `models` to a benchmark; `model_files` reads it."""
    parser.add_argument(
        "models",
        nargs="+",
        type=Path,
        metavar="MODELS",
        help="quantised .tflite models, or directories of them",
    )


def model_files(parser: argparse.ArgumentParser, named: Sequence[Path]) -> list[Path]:
    """Every named file, and those in every named directory. Exits if one of them has none."""
    found = []
    for path in named:
        files = sorted(path.glob("*.tflite")) if path.is_dir() else [path]
        if not files or not files[0].is_file():
            parser.error(f"there is no .tflite file at {path}")
        found += files
    return found
