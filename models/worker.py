"""The builder process, see `models.process`. Pays for TensorFlow's import once, serves many.

Reads a `BuildOrder` as one line of JSON from standard input and answers with lines of JSON on
what was its standard output: `Progress`, then `Done` or `Failed`. Whatever libraries print goes
to standard error instead.

The end of standard input ends the process at once, in the middle of a build as well: whoever
asked is gone, even if killed without a chance to say so. SIGTERM ends it by its default action,
and SIGINT is left to the client, which decides what Ctrl-C means.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import traceback
from typing import BinaryIO

from pydantic import ValidationError

from bench.core.errors import BenchError
from models.messages import BuildOrder, Done, Failed, Progress

__all__ = ["main"]


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = _take_over_stdout()
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_orders, args=(lines,), name="orders", daemon=True).start()
    while True:
        _send(channel, _serve(lines.get(), channel))


def _take_over_stdout() -> BinaryIO:
    """The channel to the client; from here on standard output is standard error."""
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return channel


def _read_orders(lines: queue.SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        lines.put(line)
    # Not sys.exit: the main thread may be deep inside a training.
    os._exit(0)


def _serve(line: bytes, channel: BinaryIO) -> Done | Failed:
    try:
        order = BuildOrder.model_validate_json(line)
        # Imported at the first order: a process without one need not wait for TensorFlow.
        _send(channel, Progress(text="starting TensorFlow", fraction=0.0))
        from models.builder import build

        result = build(
            order.request,
            order.out_dir,
            lambda text, fraction: _send(channel, Progress(text=text, fraction=fraction)),
        )
    except BenchError as error:
        return Failed(kind=type(error).__name__, what=error.what, cure=error.cure)
    except ValidationError as error:
        return Failed(kind="BuildError", what=f"the builder was sent a malformed order: {error}")
    except Exception as error:
        # The boundary of the process: what went wrong in a library has to reach the client. The
        # traceback goes to the log, whose end the client shows.
        traceback.print_exc()
        return Failed(kind="BuildError", what=f"{type(error).__name__}: {error}")
    return Done(result=result)


def _send(channel: BinaryIO, message: Progress | Done | Failed) -> None:
    channel.write(message.model_dump_json().encode() + b"\n")
    channel.flush()
