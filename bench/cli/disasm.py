"""`bench disasm MODEL`: the command streams that Vela wrote, as text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["disasm"]


def disasm(
    model: Annotated[Path, typer.Argument(help="What Vela wrote: a .tflite or a raw .npz.")],
    debug_db: Annotated[
        Path | None,
        typer.Option(
            help="What vela --enable-debug-db wrote, for the layers' names. By default "
            "MODEL_debug.xml, if it is next to MODEL_vela.tflite.",
        ),
    ] = None,
) -> None:
    """Print the command streams of a compiled model.

    Layer by layer, operation by operation.
    """
    from targets.artefact import load_artefact
    from targets.artefact.disassembly import disassemble
    from targets.artefact.layers import debug_database, read_layers

    beside = debug_database(model)
    database = debug_db or (beside if beside.is_file() else None)
    layers = () if database is None else read_layers(database)
    print(disassemble(load_artefact(model), layers), end="")
