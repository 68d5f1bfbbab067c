"""The executable: reads the command line and does what it says."""

from __future__ import annotations

import contextlib
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, BinaryIO

from bench.core.errors import BenchError
from bench.core.fingerprint import read_source_tree
from targets.virtual.options import parse_options
from targets.virtual.output import BANNER, say
from targets.virtual.parameters import Value, describe_parameters

if TYPE_CHECKING:
    from targets.virtual.backend import NpuBackend

__all__ = ["main"]

_LIBRARY_ERROR_STATUS = 127


def main(arguments: Sequence[str], make_backend: Callable[[bool], NpuBackend]) -> int:
    """Run the executable with `arguments`; `make_backend(timed)` makes what executes streams.

    Returns the exit status: 0 in whichever way the UART ended it, 1 for an error.
    """
    # Python's own buffer may be switched off (PYTHONUNBUFFERED); an FVP's is not.
    out = open(sys.stdout.fileno(), "wb", closefd=False)  # noqa: SIM115
    try:
        options = parse_options(arguments)
        _break_on_purpose(options.parameters, out)
        if options.show_version:
            say(out, BANNER)
            say(out, f"Model {_model_version()}")
            return 0
        if options.list_parameters:
            for line in ("# Parameters:", *describe_parameters()):
                say(out, line)
            return 0
        # Imported only here, because emulator and simulator take half a second to import.
        from targets.virtual.simulation import simulate

        return simulate(options, make_backend, out)
    except BenchError as error:
        out.flush()
        sys.stderr.write(f"ERROR: {error}\n")
        return 1
    finally:
        # The reader has gone away and needs no more.
        with contextlib.suppress(BrokenPipeError):
            out.flush()


def _model_version() -> str:
    """A digest of everything that outputs and counters may depend on."""
    return read_source_tree().fingerprint("targets.virtual.__main__")[:16]


def _break_on_purpose(values: dict[str, Value], out: BinaryIO) -> None:
    """Fail as an FVP fails before it simulates anything, for tests."""
    if values["bench.fault.crash_at_start"]:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.raise_signal(signal.SIGSEGV)
    library = values["bench.fault.missing_library"]
    if library:
        sys.stderr.write(
            f"{sys.argv[0]}: error while loading shared libraries: {library}: "
            "cannot open shared object file: No such file or directory\n"
        )
        sys.exit(_LIBRARY_ERROR_STATUS)
    if values["bench.fault.licence_error"]:
        say(out, "Fatal: license error: no licence (injected by bench.fault)")
        sys.exit(1)
