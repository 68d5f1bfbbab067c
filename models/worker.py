"""The builder process: imports TensorFlow once and serves many requests.

`models.service.VariantBuilder` starts it. It reads a `BuildOrder` as JSON from the connection whose
file descriptor is its last argument, and answers with `Progress`, then `Done` or `Failed`, also as
JSON. It ends with the connection. It ignores SIGINT: the client decides what Ctrl-C means.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

from pydantic import ValidationError

from bench.core.errors import BenchError
from models.messages import BuildOrder, Done, Failed, Progress

__all__ = ["main"]


def main() -> None:
    """Serve until the connection ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    client = Connection(int(sys.argv[-1]))
    while True:
        try:
            order = client.recv_bytes()
        except EOFError:
            return
        _send(client, _serve(order, client))


def _serve(message: bytes, client: Connection) -> Done | Failed:
    try:
        order = BuildOrder.model_validate_json(message)
        _keep_temporary_files_in(order.scratch_dir)
        # Imported at the first order, because a process without orders need not load TensorFlow.
        _send(client, Progress(text="starting TensorFlow", fraction=0.0))
        from models.builder import build

        result = build(
            order.request,
            order.out_dir,
            lambda text, fraction: _send(client, Progress(text=text, fraction=fraction)),
        )
    except BenchError as error:
        return Failed(kind=type(error).__name__, what=error.what, cure=error.cure)
    except ValidationError as error:
        return Failed(kind="BuildError", what=f"the builder was sent a malformed order: {error}")
    except Exception as error:
        # The boundary of the process: a failure in a library must reach the client. The traceback
        # goes to the log, whose end the client shows.
        traceback.print_exc()
        return Failed(kind="BuildError", what=f"{type(error).__name__}: {error}")
    return Done(result=result)


def _keep_temporary_files_in(directory: Path) -> None:
    """Put temporary files into `directory`.

    TensorFlow leaves the sources that it generates behind, a file per traced function.
    """
    os.environ["TMPDIR"] = tempfile.tempdir = str(directory)


def _send(client: Connection, message: Progress | Done | Failed) -> None:
    client.send_bytes(message.model_dump_json().encode())
