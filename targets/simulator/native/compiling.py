"""The process that compiles kernels: the program that `elsewhere.CompilerProcess` starts.

The connection's file descriptor is its last argument. It is sent LLVM's name of a processor, empty
for the one at hand, and answers with what that has, as JSON. Then it is sent names of kernels, and
answers each with `FINE` and the object file, or with another byte and what went wrong. It ends with
the connection.
"""

from __future__ import annotations

import json
import sys
from multiprocessing.connection import Connection

from targets.simulator.native.kernels import kernel_called

__all__ = ["FINE", "main"]

FINE = b"\0"
_WRONG = b"\1"


def main() -> None:
    """Serve until the connection ends."""
    # Only here: whoever starts this process must not load LLVM.
    from targets.simulator.native.llvm import Llvm

    client = Connection(int(sys.argv[-1]))
    llvm = Llvm(client.recv_bytes().decode() or None, "pic")
    client.send_bytes(json.dumps(sorted(llvm.features)).encode())
    while True:
        try:
            kernel = kernel_called(client.recv_bytes().decode())
        except EOFError:
            return
        try:
            answer = FINE + llvm.object_file(kernel)
        except RuntimeError as error:
            answer = _WRONG + str(error).encode()
        client.send_bytes(answer)
