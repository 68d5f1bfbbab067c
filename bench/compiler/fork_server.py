"""Vela, imported once: the program that `bench.compiler.running.VelaServer` starts.

Most of what the command `python -m ethosu.vela` takes is Python's start and its imports; a compile
of a small network is a tenth of that. A fork of a process that has them is as isolated as a process
of its own: it shares no memory, and its crash ends nobody else.

Reads orders, JSON each, from the connection whose file descriptor is its argument, and answers each
with Vela's exit status in decimal (negative: the signal that ended it). Vela's words go to the file
that the order names. The end of the connection ends the process; whoever asked ends a running
compile with it, by one signal to both.

Run as a script and importing nothing of the bench, so that Vela finds itself in the process that
the command would have given it, and the start costs no more than the command's.
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
    """One compile: Vela's arguments, the directory it runs in, the file that takes its words."""

    arguments: list[str]
    directory: str
    words: str


def main() -> None:
    """Serve until the connection ends."""
    connection = Connection(int(sys.argv[1]))
    # What makes the forks cheap. The command's own entry point is run in each of them.
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
        # The boundary of the process: as the interpreter would end it.
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # What the compiler core printed waits in the C library.
    ctypes.CDLL(None).fflush(None)
    return status


if __name__ == "__main__":
    # Its client leads; Ctrl-C is for the client to act on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A script's directory comes first on the import path, where nothing of Vela's is.
    del sys.path[0]
    main()
