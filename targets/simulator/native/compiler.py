"""LLVM as the compiler for the processor at hand."""

from __future__ import annotations

import ctypes

import llvmlite.binding as llvm
from llvmlite import ir

from bench.core.logging import logger
from targets.simulator.native.kernels import Function, Kernel, Multiplication, PairLookup
from targets.simulator.native.multiplication import emit_multiplication
from targets.simulator.native.pairs import emit_pair_lookup
from targets.simulator.native.self_check import is_right
from targets.simulator.native.slice_scan import emit_slice_scan

__all__ = ["Compiler"]

_log = logger(__name__)


class Compiler:
    """Makes each kernel once, when it is first needed, and checks what the machine code computes.

    It takes some 40 ms for a kernel. The simulator's other parts need five or six of them.
    """

    def __init__(self, cpu: str | None = None) -> None:
        """`cpu` is LLVM's name of a processor; None: the one at hand, with all it has."""
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = llvm.get_host_cpu_features()
        # Vectors as wide as the registers.
        features["prefer-256-bit"] = False
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=cpu or llvm.get_host_cpu_name(),
            features="" if cpu else features.flatten(),
            opt=2,
        )
        self._features = set() if cpu else {name for name, on in features.items() if on}
        # The engine owns the machine, and both must outlive the functions.
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        options = llvm.create_pipeline_tuning_options(speed_level=1)
        self._builder = llvm.create_pass_builder(machine, options)
        self._functions: dict[Kernel, Function | None] = {}

    @property
    def has_wide_registers(self) -> bool:
        """Whether a register holds 16 numbers of 32 bits, and there are 32 of them."""
        return "avx512bw" in self._features and "avx512vl" in self._features

    @property
    def has_quads(self) -> bool:
        """Whether there is an instruction for `Dot.QUADS`."""
        return self.has_wide_registers and "avx512vnni" in self._features

    def function(self, kernel: Kernel) -> Function | None:
        """See `Kernels`."""
        if kernel not in self._functions:
            self._functions[kernel] = self._checked(kernel)
        return self._functions[kernel]

    def _checked(self, kernel: Kernel) -> Function | None:
        try:
            function = self._compile(kernel)
        except RuntimeError as error:
            problem = str(error)
        else:
            if is_right(kernel, function):
                return function
            problem = "it computes something else than it should"
        _log.warning(
            "the simulator cannot use the machine code of %s on this processor: %s; "
            "NumPy does its work, which is slower",
            kernel.name,
            problem,
        )
        return None

    def _compile(self, kernel: Kernel) -> Function:
        source = ir.Module(name=kernel.name)
        if isinstance(kernel, Multiplication):
            emit_multiplication(kernel, source)
        elif isinstance(kernel, PairLookup):
            emit_pair_lookup(kernel, source)
        else:
            emit_slice_scan(kernel, source)
        module = llvm.parse_assembly(str(source))
        module.verify()
        # The kernels are written as they should run: their variables become registers, and little
        # else is left to do. The usual passes would take several times as long.
        passes = llvm.create_new_module_pass_manager()
        passes.add_sroa_pass()
        passes.add_instruction_combine_pass()
        passes.add_simplify_cfg_pass()
        passes.run(module, self._builder)
        self._engine.add_module(module)
        self._engine.finalize_object()
        address = self._engine.get_function_address(kernel.name)
        function: Function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)
        return function
