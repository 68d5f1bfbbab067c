"""Which operators of a compiled model are left to the CPU, counted from the file itself.

Vela's own summary counts the operators of a file with several subgraphs wrongly.
"""

from __future__ import annotations

from pathlib import Path

from bench.tflite.graph import VELA_OPERATOR
from bench.tflite.reader import read_operators

__all__ = ["cpu_operators"]


def cpu_operators(path: Path) -> tuple[str, ...]:
    """The operators of the compiled model at `path` that are not Vela's, of all subgraphs.

    Builtin operators have TFLite's names (`TRANSPOSE_CONV`), custom ones their own. They come in
    the order of the file, as often as they occur. Raises `ModelError` for a damaged file.
    """
    return tuple(
        operator.custom or operator.name
        for operator in read_operators(path)
        if operator.custom != VELA_OPERATOR
    )
