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
    from targets.artefact.debug_database import debug_database, read_database
    from targets.artefact.disassembly import disassemble

    beside = debug_database(model)
    path = debug_db or (beside if beside.is_file() else None)
    database = None if path is None else read_database(path)
    print(disassemble(load_artefact(model), database), end="")
