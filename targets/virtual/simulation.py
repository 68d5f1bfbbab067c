"""One run of the machine, as the command line requests it: what is loaded and printed."""

from __future__ import annotations

import contextlib
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from bench.core.files import read_regular
from targets.firmware.elf import read_elf
from targets.virtual.backend import NpuBackend
from targets.virtual.errors import ParameterError
from targets.virtual.machine import CLOCK_HZ, Machine, Settings, Stop, StopReason
from targets.virtual.options import Options
from targets.virtual.output import BANNER, emit, say
from targets.virtual.parameters import Value
from targets.virtual.semihosting import Semihosting
from targets.virtual.wire import UartFaults, Wire

__all__ = ["simulate"]

_TERMINAL_PORT = 5000
#: The largest program or data file that is read, in bytes.
_FILE_BYTES_MAX = 512 << 20
_STOPPED = "Info: Simulation stopped by user."
_REASONS = {
    StopReason.WALL_TIME: "Wall time has been exceeded.",
    StopReason.PROCESSOR_TIME: "CPU time has been exceeded.",
    StopReason.SIMULATED_TIME: "Simulated time has been exceeded.",
    StopReason.CYCLES: "Cycle limit has been exceeded.",
}


def simulate(options: Options, make_backend: Callable[[bool], NpuBackend], out: BinaryIO) -> int:
    """Run what `options` request, printing to `out`; returns the exit status.

    Raises `ParameterError` for what cannot be run, `MachineError` when the processor locks up.
    """
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
            lambda data: emit(out, data, flush=False),
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
        say(out, f"Warning: NPU fault: {explanation}")
    for event in machine.unmodelled_events:
        say(out, f"Warning: PMU event {event} is not modelled: do not use its count")
    return _conclude(options, out, stop, machine.cycles, time.monotonic() - started)


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


def _uart_output(
    name: str, values: dict[str, Value], out: BinaryIO, stack: contextlib.ExitStack
) -> Callable[[bytes], None]:
    """Where UART0's bytes go. Without a file they go to a terminal that nobody reads."""
    if not name:
        return lambda data: None
    flush = bool(values["mps3_board.uart0.unbuffered_output"])
    if name == "-":
        target = out
        flush = flush or sys.stdout.isatty()
    else:
        target = stack.enter_context(open(name, "wb"))  # noqa: PTH123, SIM115
    return lambda data: emit(target, data, flush=flush)


def _stall() -> None:
    """Hang until killed. The contents of the buffer stay there, as in an FVP."""
    while True:
        signal.pause()


def _announce(out: BinaryIO, values: dict[str, Value]) -> None:
    for index, terminal in enumerate((0, 1, 2, 5)):
        if values[f"mps3_board.telnetterminal{terminal}.start_telnet"]:
            say(
                out,
                f"telnetterminal{terminal}: Listening for serial connection on port "
                f"{_TERMINAL_PORT + index} (announced only: no port is opened)",
            )
    say(out, "")
    say(out, f"    {BANNER}")
    say(out, "")


def _conclude(options: Options, out: BinaryIO, stop: Stop, cycles: int, wall: float) -> int:
    reason = _REASONS.get(stop.reason)
    if reason is not None:
        say(out, f"Info: Simulation is stopping. Reason: {reason}")
    say(out, "")
    say(out, _STOPPED)
    if options.statistics:
        used = resource.getrusage(resource.RUSAGE_SELF)
        say(out, "")
        say(out, "--- Virtual_Corstone_300 statistics: " + "-" * 40)
        for what, seconds in (
            ("Simulated time", cycles / CLOCK_HZ),
            ("User time", used.ru_utime),
            ("System time", used.ru_stime),
            ("Wall time", wall),
        ):
            say(out, f"{what:<32}: {seconds:.6f}s")
        say(out, f"{'NPU and idle cycles':<32}: {cycles}")
        say(out, "-" * 78)
    return stop.status or 0


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, _FILE_BYTES_MAX)
    except OSError as error:
        raise ParameterError(f"cannot read {path}: {error.strerror}") from error
