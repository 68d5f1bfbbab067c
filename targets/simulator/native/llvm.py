"""LLVM as the compiler of kernels. It loads LLVM's library, some 70 MiB of it."""

from __future__ import annotations

from typing import Any, Literal

import llvmlite.binding as llvm
from llvmlite import ir

from targets.simulator.native.kernels import Kernel, Multiplication, PairLookup
from targets.simulator.native.multiplication import emit_multiplication
from targets.simulator.native.pairs import emit_pair_lookup
from targets.simulator.native.slice_scan import emit_slice_scan

__all__ = ["Llvm"]


class Llvm:
    """It takes some 30 ms for a kernel. The simulator's other parts need five or six of them."""

    def __init__(self, cpu: str | None, code: Literal["pic", "default"]) -> None:
        """`cpu` is LLVM's name of a processor; None: the one at hand, with all it has.

        `code` is `pic` where the code must work wherever it lies.
        """
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = llvm.get_host_cpu_features()
        # Vectors as wide as the registers.
        features["prefer-256-bit"] = False
        self.machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=cpu or llvm.get_host_cpu_name(),
            features="" if cpu else features.flatten(),
            opt=2,
            reloc=code,
            codemodel="jitdefault" if code == "default" else "small",
        )
        #: What the processor has, by LLVM's names; nothing is known of one that is named.
        self.features = frozenset() if cpu else frozenset(n for n, on in features.items() if on)
        options = llvm.create_pipeline_tuning_options(speed_level=1)
        self._builder = llvm.create_pass_builder(self.machine, options)

    def module(self, kernel: Kernel) -> Any:
        """The module of `kernel`, ready to become machine code. Raises `RuntimeError`."""
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
        return module

    def object_file(self, kernel: Kernel) -> bytes:
        """The object file of `kernel`. Raises `RuntimeError`."""
        made: bytes = self.machine.emit_object(self.module(kernel))
        return made
