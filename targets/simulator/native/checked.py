"""Kernels that are tried before they are used."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Set

from bench.core.logging import logger
from targets.simulator.native.kernels import Function, Kernel, Kernels
from targets.simulator.native.self_check import is_right

__all__ = ["CheckedKernels"]

_log = logger(__name__)


class CheckedKernels(Kernels):
    """Makes each kernel once, when it is first needed, and checks what the machine code computes.

    For one thread at a time.
    """

    def __init__(self) -> None:
        self._functions: dict[Kernel, Function | None] = {}

    @abstractmethod
    def _features(self) -> Set[str]:
        """What the processor has, by LLVM's names."""

    @abstractmethod
    def _compile(self, kernel: Kernel) -> Function:
        """The machine code of `kernel`. Raises `RuntimeError` or `OSError`."""

    @property
    def has_wide_registers(self) -> bool:
        """Whether a register holds 16 numbers of 32 bits, and there are 32 of them."""
        return self._features() >= {"avx512bw", "avx512vl"}

    @property
    def has_quads(self) -> bool:
        """Whether there is an instruction for `Dot.QUADS`."""
        return self.has_wide_registers and "avx512vnni" in self._features()

    def function(self, kernel: Kernel) -> Function | None:
        """See `Kernels`."""
        if kernel not in self._functions:
            self._functions[kernel] = self._checked(kernel)
        return self._functions[kernel]

    def _checked(self, kernel: Kernel) -> Function | None:
        try:
            function = self._compile(kernel)
        except (RuntimeError, OSError) as error:
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
