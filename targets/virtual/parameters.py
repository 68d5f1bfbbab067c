"""The parameters of `-C`: those of the FVP that its users need, and `bench.fault.*` for tests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from targets.ethos_u55.accelerators import MAC_COUNTS
from targets.virtual.errors import ParameterError

__all__ = ["PARAMETERS", "Parameter", "Value", "describe_parameters", "parse_parameters"]

Value = bool | int | str

_TRUE, _FALSE = ("1", "true"), ("0", "false")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")


@dataclass(frozen=True)
class Parameter:
    """One parameter; its type is that of its default."""

    name: str
    default: Value
    description: str
    #: The values an integer may take; None = any.
    allowed: tuple[int, ...] | range | None = None

    def parse(self, text: str) -> Value:
        """`text` as a value. Raises `ParameterError`."""
        if isinstance(self.default, bool):
            if text.lower() not in (*_TRUE, *_FALSE):
                raise ParameterError(f"parameter {self.name}: '{text}' is neither 0 nor 1")
            return text.lower() in _TRUE
        if isinstance(self.default, str):
            return text.removeprefix('"').removesuffix('"')
        if not _NUMBER.fullmatch(text):
            raise ParameterError(f"parameter {self.name}: '{text}' is not a number")
        number = int(text, 0)
        if self.allowed is not None and number not in self.allowed:
            raise ParameterError(f"parameter {self.name}: {number} is not possible ({self._range})")
        return number

    @property
    def _range(self) -> str:
        if isinstance(self.allowed, range):
            return f"{self.allowed.start}..{self.allowed.stop - 1}"
        return ", ".join(map(str, self.allowed or ()))

    @property
    def line(self) -> str:
        """The line in `--list-params`."""
        value = int(self.default) if isinstance(self.default, bool) else self.default
        kind = type(self.default).__name__
        limits = f", {self._range}" if self.allowed is not None else ""
        return f'{self.name}="{value}"  # ({kind}{limits}) {self.description}'


PARAMETERS: Mapping[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        Parameter("cpu0.CFGDTCMSZ", 15, "Size of the DTCM; accepted, always 512 KiB", range(16)),
        Parameter("cpu0.CFGITCMSZ", 15, "Size of the ITCM; accepted, always 512 KiB", range(16)),
        Parameter("cpu0.semihosting-cmd_line", "", "Command line for semihosting; not used"),
        Parameter("cpu0.semihosting-cwd", "", "Working directory for semihosting"),
        Parameter("cpu0.semihosting-enable", True, "Handle semihosting calls"),
        Parameter("ethosu.extra_args", "", "'--fast': no timing, every cycle count is 0"),
        Parameter("ethosu.num_macs", 128, "MACs per cycle", MAC_COUNTS),
        *(
            Parameter(
                f"mps3_board.telnetterminal{i}.start_telnet", True, "Announce terminal; no port"
            )
            for i in (0, 1, 2, 5)
        ),
        Parameter("mps3_board.uart0.out_file", "", "File for UART0's output; - = standard output"),
        Parameter("mps3_board.uart0.shutdown_on_eot", False, "Stop when UART0 sends EOT (0x04)"),
        Parameter("mps3_board.uart0.shutdown_tag", "", "Stop when UART0 sends this"),
        Parameter("mps3_board.uart0.unbuffered_output", False, "Write every character at once"),
        Parameter("mps3_board.visualisation.disable-visualisation", False, "Accepted"),
        Parameter("bench.fault.adapter_version", 0x1117, "Version of the timing adapters"),
        Parameter("bench.fault.crash_at_start", False, "Die of SIGSEGV before anything else"),
        Parameter("bench.fault.flood_megabytes", 0, "Print so much text after UART0's first line"),
        Parameter("bench.fault.hang", False, "The NPU never finishes"),
        Parameter("bench.fault.isram_non_secure", False, "ISRAM is non-secure after reset"),
        Parameter("bench.fault.licence_error", False, "Fail as if there were no licence"),
        Parameter("bench.fault.macs", 0, "Use this NPU instead", (0, *MAC_COUNTS)),
        Parameter("bench.fault.missing_library", "", "Fail as if this library were missing"),
        Parameter("bench.fault.no_npu", False, "There is no NPU"),
        Parameter("bench.fault.stall_at_uart_byte", 0, "Hang before this byte of UART0"),
        Parameter("bench.fault.uart_flip_byte", 0, "Flip a bit of this byte, counted from 1"),
        Parameter("bench.fault.uart_lose_byte", 0, "Lose this byte of UART0, counted from 1"),
        Parameter("bench.fault.uart_truncate", 0, "Lose everything from this byte of UART0"),
    )
}


def parse_parameters(assignments: Iterable[str]) -> dict[str, Value]:
    """The values of all parameters, from `key=value` texts; a later text wins.

    Raises `ParameterError` for an unknown key or an impossible value.
    """
    values = {name: parameter.default for name, parameter in PARAMETERS.items()}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ParameterError(f"'{assignment}' is not of the form parameter=value")
        if key.strip() not in PARAMETERS:
            raise ParameterError(
                f"unknown parameter '{key.strip()}'", cure="--list-params lists the parameters"
            )
        values[key.strip()] = PARAMETERS[key.strip()].parse(text.strip())
    return values


def describe_parameters() -> list[str]:
    """The lines of `--list-params`."""
    return [PARAMETERS[name].line for name in sorted(PARAMETERS)]
