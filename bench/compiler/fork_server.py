"""Vela, imported once: the program that `bench.compiler.running.VelaServer` starts.

Most of what the command `python -m ethosu.vela` takes is Python's start and its imports; a compile
of a small network is a tenth of that. A fork of a process that has them is as isolated as a process
of its own: it shares no memory, and its crash ends nobody else.

Reads orders, one line of JSON each, from standard input, and answers each on what was its standard
output with Vela's exit status (negative: the signal that ended it). Vela's words go to the file
that the order names. The end of standard input ends the process, and a running compile with it:
whoever asked is gone.

Run as a script and importing nothing of the bench, so that Vela finds itself in the process that
the command would have given it, and the start costs no more than the command's.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import runpy
import select
import signal
import sys
import traceback
from typing import TypedDict

__all__ = ["Order", "main"]


class Order(TypedDict):
    """One compile: Vela's arguments, the directory it runs in, the file that takes its words."""

    arguments: list[str]
    directory: str
    words: str


def main() -> None:
    """Serve until standard input ends."""
    orders, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    # What makes the forks cheap. The command's own entry point is run in each of them.
    importlib.import_module("ethosu.vela.vela")
    pending = b""
    while True:
        while b"\n" not in pending:
            piece = os.read(orders, 65536)
            if not piece:
                return
            pending += piece
        line, _, pending = pending.partition(b"\n")
        status = _compile(json.loads(line), orders)
        os.write(answers, b"%d\n" % status)


def _compile(order: Order, orders: int) -> int:
    """Vela's exit status. Ends this process and the compile when `orders` ends meanwhile."""
    # The fork holds the only other end: when the fork is gone, reading gives the end of file.
    alive, held = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(alive)
        os._exit(_be_vela(order))
    os.close(held)
    # Nothing is ordered while a compile runs, so anything from there is its end.
    ready, _, _ = select.select([alive, orders], [], [])
    if alive not in ready:
        os.killpg(0, signal.SIGKILL)
    os.close(alive)
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
