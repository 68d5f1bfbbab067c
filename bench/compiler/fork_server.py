"""Vela, imported once: the program that `bench.compiler.running.VelaServer` starts.

Most of the time of the command `python -m ethosu.vela` is Python's start and its imports; compiling
a small network takes a tenth of that. A fork of a process that has imported Vela is as isolated as
a separate process: it shares no memory, and its crash affects no other process.

The program reads orders as JSON from the connection whose file descriptor is its argument, and
answers each with Vela's exit status in decimal (negative: the signal that ended it). Vela's output
goes to the file that the order names. The program ends with the connection. To end a running
compile as well, the client sends one signal to both.

It runs as a script and imports nothing of the bench. So Vela runs in the same kind of process as
with the command, and the start costs no more than the command's.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import runpy
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import TypedDict

__all__ = ["Order", "main"]


class Order(TypedDict):
    """One compile: Vela's arguments, its working directory, and the file for its output."""

    arguments: list[str]
    directory: str
    words: str


def main() -> None:
    """Serve until the connection ends."""
    connection = Connection(int(sys.argv[1]))
    # This makes the forks cheap. Each of them runs the command's own entry point.
    importlib.import_module("ethosu.vela.vela")
    while True:
        try:
            order: Order = json.loads(connection.recv_bytes())
        except EOFError:
            return
        connection.send_bytes(b"%d" % _compile(order, connection))


def _compile(order: Order, connection: Connection) -> int:
    """Vela's exit status."""
    pid = os.fork()
    if pid == 0:
        connection.close()
        os._exit(_be_vela(order))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _be_vela(order: Order) -> int:
    """Run `python -m ethosu.vela` in this process and return its exit status."""
    words = os.open(order["words"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)
    os.dup2(words, 1)
    os.dup2(words, 2)
    status = 0
    try:
        os.chdir(order["directory"])
        sys.argv = ["vela", *order["arguments"]]
        runpy.run_module("ethosu.vela", run_name="__main__", alter_sys=True)
    except SystemExit as leave:
        if isinstance(leave.code, int):
            status = leave.code
        elif leave.code is not None:
            print(leave.code, file=sys.stderr)
            status = 1
    except BaseException:
        # The boundary of the process: end as the interpreter would.
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # The output of the compiler core is still in the buffers of the C library.
    ctypes.CDLL(None).fflush(None)
    return status


if __name__ == "__main__":
    # The client decides what Ctrl-C means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A script's directory comes first on the import path, and Vela is not there.
    del sys.path[0]
    main()
