"""The builder process: imports TensorFlow once and serves many requests.

`models.service.VariantBuilder` starts it. It reads an order as JSON from the connection whose file
descriptor is its last argument, and answers with `Progress`, then with what was ordered or
`Failed`, also as JSON. It ends with the connection. It ignores SIGINT: the client decides what
Ctrl-C means.

It runs users' code. What that prints goes to the log, and what it forks has no connection.
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
from models.environment import prepare_environment
from models.messages import (
    Answer,
    BuildOrder,
    DataOrder,
    DataSeen,
    Done,
    Failed,
    Progress,
    Surveyed,
    SurveyOrder,
    parse_order,
)
from models.reading.loading import RecipeLoader

__all__ = ["main"]


def main() -> None:
    """Serve until the connection ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    client = Connection(int(sys.argv[-1]))
    # A child that goes on as if it were this process would answer for it.
    os.register_at_fork(after_in_child=client.close)
    process, loader = os.getpid(), RecipeLoader()
    while True:
        try:
            order = client.recv_bytes()
        except EOFError:
            return
        answer = _serve(order, client, loader)
        if os.getpid() != process:
            os._exit(0)
        _send(client, answer)


def _serve(message: bytes, client: Connection, loader: RecipeLoader) -> Answer:
    try:
        order = parse_order(message)
        _keep_temporary_files_in(order.scratch_dir)
        prepare_environment()
        if isinstance(order, DataOrder):
            return _data(order, loader)
        # Imported at the first such order, because data alone need not load TensorFlow.
        _send(client, Progress(text="starting TensorFlow", fraction=0.0))
        return (
            _survey(order, loader)
            if isinstance(order, SurveyOrder)
            else _build(order, client, loader)
        )
    except BenchError as error:
        return Failed(kind=type(error).__name__, what=error.what, cure=error.cure)
    except ValidationError as error:
        what = f"the builder was sent a malformed order: {error}"
        return Failed(kind="BuildError", what=what, unexpected=True)
    except Exception as error:
        # The boundary of the process: a failure in a library must reach the client. The traceback
        # goes to the log, whose end the client shows.
        traceback.print_exc()
        what = f"{type(error).__name__}: {error}"
        return Failed(kind="BuildError", what=what, unexpected=True)


def _data(order: DataOrder, loader: RecipeLoader) -> DataSeen:
    from models.reading.datasets import go_through_data

    facts = go_through_data(order.origin, loader.load(order.origin), order.inputs, order.out_dir)
    return DataSeen(facts=facts)


def _survey(order: SurveyOrder, loader: RecipeLoader) -> Surveyed:
    from models.reading.network import facts_of, make_model

    recipe = loader.load(order.origin)
    return Surveyed(facts=facts_of(make_model(order.origin, recipe), recipe))


def _build(order: BuildOrder, client: Connection, loader: RecipeLoader) -> Done:
    from models.builder import build

    result = build(
        order.request,
        loader.load(order.request.origin),
        order.out_dir,
        lambda text, fraction: _send(client, Progress(text=text, fraction=fraction)),
    )
    return Done(result=result)


def _keep_temporary_files_in(directory: Path) -> None:
    """Put temporary files into `directory`.

    TensorFlow leaves the sources that it generates behind, a file per traced function.
    """
    os.environ["TMPDIR"] = tempfile.tempdir = str(directory)


def _send(client: Connection, message: Progress | Answer) -> None:
    client.send_bytes(message.model_dump_json().encode())
