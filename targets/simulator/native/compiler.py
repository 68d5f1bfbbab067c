"""Kernels that LLVM makes in this process, where it stays loaded."""

from __future__ import annotations

import ctypes
from collections.abc import Set

import llvmlite.binding as llvm

from targets.simulator.native.checked import CheckedKernels
from targets.simulator.native.kernels import Function, Kernel
from targets.simulator.native.llvm import Llvm

__all__ = ["Compiler"]


class Compiler(CheckedKernels):
    """For processors whose object files `flat` does not know."""

    def __init__(self, cpu: str | None = None) -> None:
        """`cpu` is LLVM's name of a processor; None: the one at hand, with all it has."""
        super().__init__()
        self._llvm = Llvm(cpu, "default")
        # The engine owns the machine, and both must outlive the functions.
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), self._llvm.machine)

    def rest(self) -> None:
        """See `Kernels`. LLVM cannot be unloaded."""

    def _features(self) -> Set[str]:
        return self._llvm.features

    def _compile(self, kernel: Kernel) -> Function:
        self._engine.add_module(self._llvm.module(kernel))
        self._engine.finalize_object()
        address = self._engine.get_function_address(kernel.name)
        function: Function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)
        return function
