"""The executable: reads the command line, builds the machine, runs it, says how it ended."""

from __future__ import annotations

import contextlib
import hashlib
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from bench.errors import BenchError
from bench.fingerprint import source_fingerprint
from targets.firmware.elf import read_elf
from targets.virtual.backend import NpuBackend
from targets.virtual.errors import ParameterError
from targets.virtual.machine import CLOCK_HZ, Machine, Settings, Stop, StopReason
from targets.virtual.options import Options, parse_options
from targets.virtual.parameters import Value, describe_parameters
from targets.virtual.semihosting import Semihosting
from targets.virtual.wire import UartFaults, Wire

__all__ = ["VERSION", "main"]

VERSION = "1.0.0"
_NAME = "Virtual Corstone-300 of the Ethos-U55 regression bench"
_BANNER = f"{_NAME} {VERSION}; not an Arm product"
_TERMINAL_PORT = 5000
_LIBRARY_ERROR_STATUS = 127
_STOPPED = "Info: Simulation stopped by user."
_REASONS = {
    StopReason.WALL_TIME: "Wall time has been exceeded.",
    StopReason.PROCESSOR_TIME: "CPU time has been exceeded.",
    StopReason.SIMULATED_TIME: "Simulated time has been exceeded.",
    StopReason.CYCLES: "Cycle limit has been exceeded.",
}


def main(arguments: Sequence[str], make_backend: Callable[[bool], NpuBackend]) -> int:
    """Run the executable with `arguments`; `make_backend(timed)` makes what executes streams.

    Returns the exit status: 0 however the UART ended it, 1 for an error.
    """
    # Python's own buffer may be switched off (PYTHONUNBUFFERED); an FVP's is not.
    out = open(sys.stdout.fileno(), "wb", closefd=False)  # noqa: SIM115
    try:
        options = parse_options(arguments)
        _break_on_purpose(options.parameters, out)
        if options.show_version:
            _say(out, _BANNER)
            _say(out, f"Model {_model_version()}")
            return 0
        if options.list_parameters:
            for line in ("# Parameters:", *describe_parameters()):
                _say(out, line)
            return 0
        return _simulate(options, make_backend, out)
    except BenchError as error:
        out.flush()
        sys.stderr.write(f"ERROR: {error}\n")
        return 1
    finally:
        # A reader that went away has no use for the rest.
        with contextlib.suppress(BrokenPipeError):
            out.flush()


def _simulate(options: Options, make_backend: Callable[[bool], NpuBackend], out: BinaryIO) -> int:
    values = options.parameters
    if options.application is None:
        raise ParameterError("no application", cure="give one with -a FILE")
    program = read_elf(_read(options.application), str(options.application))
    if not options.quiet:
        _announce(out, values)
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        write = _uart_output(str(values["mps3_board.uart0.out_file"]), values, out, stack)
        machine: Machine

        def send(byte: int) -> None:
            wire(byte)

        wire = Wire(
            write,
            shutdown=lambda: machine.stop(),
            stall=_stall,
            faults=_uart_faults(values),
            on_eot=bool(values["mps3_board.uart0.shutdown_on_eot"]),
            tag=str(values["mps3_board.uart0.shutdown_tag"]).encode(),
        )
        semihosting = Semihosting(
            lambda data: _emit(out, data, flush=False),
            Path(str(values["cpu0.semihosting-cwd"]) or "."),
            enabled=bool(values["cpu0.semihosting-enable"]),
        )
        timed = "--fast" not in str(values["ethosu.extra_args"]).split()
        machine = Machine(_settings(values), make_backend(timed), send, semihosting)
        for item in options.data:
            machine.load(item.address, _read(item.path))
        machine.load_program(program)
        stop = machine.run(options.limits)
    for dump in options.dumps:
        dump.path.write_bytes(machine.memory.read(dump.address, dump.size))
    for explanation in machine.npu_explanations:
        _say(out, f"Warning: NPU fault: {explanation}")
    for event in machine.unmodelled_events:
        _say(out, f"Warning: PMU event {event} is not modelled: it counted 0")
    return _conclude(options, out, stop, machine.cycles, time.monotonic() - started)


def _model_version() -> str:
    """Changes whenever anything does that outputs and counters may depend on."""
    packages = ("targets.virtual", "targets.simulator", "targets.jobs")
    joined = "".join(map(source_fingerprint, packages))
    return hashlib.sha256(joined.encode()).hexdigest()[:16]


def _settings(values: dict[str, Value]) -> Settings:
    macs = int(values["bench.fault.macs"]) or int(values["ethosu.num_macs"])
    return Settings(
        macs=0 if values["bench.fault.no_npu"] else macs,
        npu_hangs=bool(values["bench.fault.hang"]),
        adapter_version=int(values["bench.fault.adapter_version"]),
        isram_non_secure=bool(values["bench.fault.isram_non_secure"]),
    )


def _uart_faults(values: dict[str, Value]) -> UartFaults:
    return UartFaults(
        lose=int(values["bench.fault.uart_lose_byte"]),
        flip=int(values["bench.fault.uart_flip_byte"]),
        truncate=int(values["bench.fault.uart_truncate"]),
        stall=int(values["bench.fault.stall_at_uart_byte"]),
        flood_bytes=int(values["bench.fault.flood_megabytes"]) * 1_000_000,
    )


def _break_on_purpose(values: dict[str, Value], out: BinaryIO) -> None:
    """The ways in which an FVP fails before it simulates anything, for tests."""
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
        _say(out, "Fatal: license error: no licence (injected by bench.fault)")
        sys.exit(1)


def _uart_output(
    name: str, values: dict[str, Value], out: BinaryIO, stack: contextlib.ExitStack
) -> Callable[[bytes], None]:
    """Where UART0's bytes go. Without a file they go to a terminal that nobody looks at."""
    if not name:
        return lambda data: None
    flush = bool(values["mps3_board.uart0.unbuffered_output"])
    if name == "-":
        target = out
        flush = flush or sys.stdout.isatty()
    else:
        target = stack.enter_context(open(name, "wb"))  # noqa: PTH123, SIM115
    return lambda data: _emit(target, data, flush=flush)


def _stall() -> None:
    """Stop for good, but die when told to. What is in the buffer stays there, as in an FVP's."""
    while True:
        signal.pause()


def _announce(out: BinaryIO, values: dict[str, Value]) -> None:
    for index, terminal in enumerate((0, 1, 2, 5)):
        if values[f"mps3_board.telnetterminal{terminal}.start_telnet"]:
            _say(
                out,
                f"telnetterminal{terminal}: Listening for serial connection on port "
                f"{_TERMINAL_PORT + index} (announced only: no port is opened)",
            )
    _say(out, "")
    _say(out, f"    {_BANNER}")
    _say(out, "")


def _conclude(options: Options, out: BinaryIO, stop: Stop, cycles: int, wall: float) -> int:
    reason = _REASONS.get(stop.reason)
    if reason is not None:
        _say(out, f"Info: Simulation is stopping. Reason: {reason}")
    _say(out, "")
    _say(out, _STOPPED)
    if options.statistics:
        used = resource.getrusage(resource.RUSAGE_SELF)
        _say(out, "")
        _say(out, "--- Virtual_Corstone_300 statistics: " + "-" * 40)
        for what, seconds in (
            ("Simulated time", cycles / CLOCK_HZ),
            ("User time", used.ru_utime),
            ("System time", used.ru_stime),
            ("Wall time", wall),
        ):
            _say(out, f"{what:<32}: {seconds:.6f}s")
        _say(out, f"{'NPU and idle cycles':<32}: {cycles}")
        _say(out, "-" * 78)
    return stop.status or 0


def _say(out: BinaryIO, line: str) -> None:
    _emit(out, line.encode() + b"\r\n", flush=False)


def _emit(out: BinaryIO, data: bytes, *, flush: bool) -> None:
    out.write(data)
    if flush:
        out.flush()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ParameterError(f"cannot read {path}: {error.strerror}") from error
