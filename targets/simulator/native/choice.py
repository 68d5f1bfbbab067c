"""With what the inner loops run: machine code, or NumPy."""

from __future__ import annotations

import importlib.util
import mmap
from enum import Enum
from functools import cache

from bench.core.logging import logger
from targets.simulator.native.elsewhere import CompilerProcess
from targets.simulator.native.flat import links_here
from targets.simulator.native.kernels import Kernels

__all__ = ["InnerLoops"]

_log = logger(__name__)


class InnerLoops(Enum):
    """Both give the same results, bit for bit."""

    #: Machine code if llvmlite is installed and works here, otherwise NumPy.
    FASTEST = "fastest"
    #: NumPy, with which machine code is compared.
    NUMPY = "numpy"

    def kernels(self) -> Kernels | None:
        """Who makes machine code; None for NumPy."""
        return _compiler() if self is InnerLoops.FASTEST else None


@cache
def _compiler() -> Kernels | None:
    """One for the process, because it keeps what it has made."""
    try:
        # LLVM would end the process where memory may not become code.
        mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()
        # Without it, everything else works.
        if importlib.util.find_spec("llvmlite") is None:
            raise ModuleNotFoundError("llvmlite")
        if links_here():
            return CompilerProcess()
        # Only here: it loads LLVM.
        from targets.simulator.native.compiler import Compiler

        return Compiler()
    except ModuleNotFoundError:
        _log.info("llvmlite is not installed: the simulator computes with NumPy, which is slower")
        return None
    except (ImportError, OSError, RuntimeError) as error:
        _log.warning(
            "LLVM does not work here (%s): the simulator computes with NumPy, which is slower",
            error,
        )
        return None
