"""Kernels that LLVM makes in another process, so that it is not loaded in this one.

LLVM's library takes some 70 MiB of memory, more than a simulator needs for most networks. The other
process sends object files, and ends when they are made.
"""

from __future__ import annotations

import atexit
import contextlib
import json
from collections.abc import Iterator, Set

from bench.core.processes.children import python_command
from bench.core.processes.servers import Conversation, LostError, Server
from targets.simulator.native import compiling
from targets.simulator.native.checked import CheckedKernels
from targets.simulator.native.flat import link
from targets.simulator.native.kernels import Function, Kernel

__all__ = ["CompilerProcess"]

#: Far more than a kernel takes on a busy machine.
_SECONDS = 60.0


class CompilerProcess(CheckedKernels):
    """For processors whose object files `flat` knows. The process runs from a request to `rest`."""

    def __init__(self, cpu: str | None = None) -> None:
        """`cpu` is LLVM's name of a processor; None: the one at hand, with all it has.

        Raises `RuntimeError` if LLVM does not work.
        """
        super().__init__()
        self._cpu = cpu or ""
        self._server = Server(python_command(f"from {compiling.__name__} import main\nmain()"))
        self._greeted: int | None = None
        self._known: Set[str] = frozenset()
        # It serves whoever simulates in this process, so nobody else could end it.
        atexit.register(self.rest)
        with self._conversation():
            pass

    @property
    def pid(self) -> int | None:
        """The other process, or None while there is none."""
        return self._server.pid

    def rest(self) -> None:
        """See `Kernels`."""
        self._server.close()
        self._greeted = None

    def _features(self) -> Set[str]:
        return self._known

    def _compile(self, kernel: Kernel) -> Function:
        with self._conversation() as process:
            process.send(kernel.name.encode(), _SECONDS)
            answer = process.receive(_SECONDS)
        if not answer.startswith(compiling.FINE):
            raise RuntimeError(answer[1:].decode("utf-8", "replace"))
        return link(answer[1:], kernel.name).function()

    @contextlib.contextmanager
    def _conversation(self) -> Iterator[Conversation]:
        """With a process that knows the processor."""
        try:
            with self._server.conversation(None) as process:
                if self._greeted != self.pid:
                    process.send(self._cpu.encode(), _SECONDS)
                    self._known = frozenset(json.loads(process.receive(_SECONDS)))
                    self._greeted = self.pid
                yield process
        except LostError as error:
            last = error.words.splitlines()[-1:]
            raise RuntimeError(": ".join([f"LLVM's process {error.how}", *last])) from error
