"""`python -m targets.virtual` as a process: the FVP's habits, and every fault it can inject."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from targets.firmware import ELF_NAME, FIRMWARE_DIRECTORY
from targets.jobs.answers import Answers, Collector
from targets.jobs.device_job import Image
from targets.jobs.frames import FrameParser
from targets.jobs.image import build_image
from targets.jobs.memory import JOB_LOAD_ADDRESS
from tests.support.fvp.firmware_runs import job

ROOT = Path(__file__).resolve().parents[2]
#: A command stream of one word: NPU_OP_STOP. It counts one beat for its own fetch.
STOP_ONLY = (0xFFFF_0000).to_bytes(4, "little")
HEADLESS = (
    "mps3_board.uart0.out_file=-",
    "mps3_board.uart0.shutdown_on_eot=1",
    *(f"mps3_board.telnetterminal{i}.start_telnet=0" for i in (0, 1, 2, 5)),
    "mps3_board.visualisation.disable-visualisation=1",
)

FIRMWARE = str(FIRMWARE_DIRECTORY / ELF_NAME)


def command(*arguments: str, parameters: tuple[str, ...] = ()) -> list[str]:
    assignments = [word for parameter in parameters for word in ("-C", parameter)]
    return [sys.executable, "-m", "targets.virtual", *arguments, *assignments]


def execute(
    *arguments: str, parameters: tuple[str, ...] = (), cwd: Path = ROOT, timeout: float = 60
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(*arguments, parameters=parameters),
        capture_output=True,
        cwd=cwd,
        timeout=timeout,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )


@pytest.fixture
def loaded(tmp_path: Path) -> tuple[str, ...]:
    """The options that load firmware and a job."""
    image = tmp_path / "job.bin"
    image.write_bytes(build_image(Image((job(commands=STOP_ONLY, events=(35, 130, 386)),))))
    data = f"{image}@{JOB_LOAD_ADDRESS:#x}"
    return ("-a", FIRMWARE, "--data", data)


def answers(output: bytes) -> Answers:
    parser, collector = FrameParser(), Collector()
    collector.add(parser.feed(output) + parser.finish())
    return collector.finish()


def test_a_job_runs_as_on_an_fvp(loaded: tuple[str, ...]) -> None:
    done = execute(*loaded, "--stat", parameters=HEADLESS)
    assert (done.returncode, done.stderr) == (0, b"")
    answer = answers(done.stdout).job(0)
    assert answer.outputs[0].data == bytes(range(16))
    assert answer.counters()[386] == (1,)
    lines = done.stdout.split(b"\n")
    assert all(line.endswith(b"\r") for line in lines if line)
    text = done.stdout.decode()
    assert "Virtual Corstone-300 of the Ethos-U55 regression bench" in text
    assert "not an Arm product" in text
    assert "(C) COPYRIGHT" not in text
    assert "telnetterminal" not in text
    assert "Info: Simulation stopped by user." in text
    assert "Simulated time" in text


def test_the_shutdown_tag_stops_it_too(loaded: tuple[str, ...]) -> None:
    parameters = (
        "mps3_board.uart0.out_file=-",
        'mps3_board.uart0.shutdown_tag="EXITTHESIM"',
    )
    done = execute(*loaded, parameters=parameters)
    assert done.returncode == 0
    assert b"telnetterminal0: Listening for serial connection on port 5000" in done.stdout
    assert answers(done.stdout).complete


def test_the_uart_may_go_to_a_file_and_memory_too(loaded: tuple[str, ...], tmp_path: Path) -> None:
    parameters = ("mps3_board.uart0.out_file=uart.txt", "mps3_board.uart0.shutdown_on_eot=1")
    dump = "cpu0=arena.bin@Memory:0x31000000,16"
    done = execute(*loaded, "-q", "--dump", dump, parameters=parameters, cwd=tmp_path)
    assert done.returncode == 0
    assert b"BENCH1" not in done.stdout
    assert answers((tmp_path / "uart.txt").read_bytes()).complete
    assert (tmp_path / "arena.bin").read_bytes() == bytes(range(16))


def test_semihosting_gives_the_exit_status(loaded: tuple[str, ...], tmp_path: Path) -> None:
    image = tmp_path / "bad.bin"
    bad = job(commands=STOP_ONLY, macs=32)
    image.write_bytes(build_image(Image((bad,), semihosting_exit=True)))
    arguments = (
        "-a",
        FIRMWARE,
        "--data",
        f"{image}@{JOB_LOAD_ADDRESS:#x}",
    )
    assert execute(*arguments, cwd=tmp_path).returncode == 0
    (tmp_path / ":semihosting-features").write_bytes(b"SHFB\x01")
    assert execute(*arguments, cwd=tmp_path).returncode == 1


def test_fast_counts_no_cycles(loaded: tuple[str, ...]) -> None:
    done = execute(*loaded, parameters=(*HEADLESS, "ethosu.extra_args=--fast"))
    answer = answers(done.stdout).job(0)
    assert answer.cycles() == (0,)
    assert answer.counters()[35] == (0,)


def test_output_is_buffered_unless_told_otherwise(loaded: tuple[str, ...]) -> None:
    stalled = (*HEADLESS, "bench.fault.stall_at_uart_byte=400")
    for unbuffered in (False, True):
        parameters = (*stalled, f"mps3_board.uart0.unbuffered_output={int(unbuffered)}")
        with subprocess.Popen(
            command(*loaded, "-q", parameters=parameters),
            stdout=subprocess.PIPE,
            cwd=ROOT,
        ) as process:
            assert process.stdout is not None
            if unbuffered:
                assert process.stdout.read(399).startswith(b"BENCH1 0")
                assert process.poll() is None
            else:
                time.sleep(1.5)
                assert process.poll() is None
            process.kill()
            # What was in the buffer dies with it.
            assert process.stdout.read() == b""


def test_information_needs_no_application() -> None:
    version = execute("--version")
    assert version.stdout.startswith(b"Virtual Corstone-300 of the Ethos-U55 regression bench")
    listed = execute("--list-params")
    assert b'ethosu.num_macs="128"' in listed.stdout
    assert b"bench.fault.hang" in listed.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), b"no application"),
        (("-a", "/nonexistent.axf"), b"cannot read /nonexistent.axf"),
        (("-a", __file__), b"not a 32-bit little-endian ELF"),
        (("-C", "ethosu.macs=3"), b"unknown parameter 'ethosu.macs'"),
        (
            ("-a", FIRMWARE, "--data", f"{__file__}@0x40000000"),
            b"no memory holds",
        ),
    ],
)
def test_what_cannot_be_run_is_one_sentence(arguments: tuple[str, ...], says: bytes) -> None:
    done = execute(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(b"ERROR: ")
    assert says in done.stderr
    assert b"Traceback" not in done.stderr


def fault(loaded: tuple[str, ...], *parameters: str) -> subprocess.CompletedProcess[bytes]:
    return execute(*loaded, parameters=(*HEADLESS, *(f"bench.fault.{p}" for p in parameters)))


def test_faults_of_the_uart(loaded: tuple[str, ...]) -> None:
    for parameter in ("uart_lose_byte=300", "uart_flip_byte=300", "uart_truncate=300"):
        done = fault(loaded, parameter)
        assert done.returncode == 0
        assert not answers(done.stdout).complete


def test_faults_of_the_device(loaded: tuple[str, ...]) -> None:
    hung = answers(fault(loaded, "hang=1").stdout).jobs[0].error
    assert hung is not None
    assert hung.code == "watchdog"
    other = answers(fault(loaded, "macs=32").stdout).jobs[0].error
    assert other is not None
    assert (other.npu_macs, other.job_macs) == (32, 128)
    assert answers(fault(loaded, "no_npu=1").stdout).errors[0].code == "no_npu"
    assert answers(fault(loaded, "isram_non_secure=1").stdout).job(0).ok


def test_faults_of_the_host(loaded: tuple[str, ...]) -> None:
    assert fault(loaded, "crash_at_start=1").returncode == -11
    licence = fault(loaded, "licence_error=1")
    assert licence.returncode == 1
    assert licence.stdout.startswith(b"Fatal: license error:")
    library = fault(loaded, "missing_library=libpython3.9.so.1.0")
    assert library.returncode == 127
    assert b"error while loading shared libraries: libpython3.9.so.1.0: " in library.stderr


def test_a_flood_does_not_drown_the_answer(loaded: tuple[str, ...]) -> None:
    parameters = (*HEADLESS, "bench.fault.flood_megabytes=100")
    parser, collector = FrameParser(), Collector()
    size = 0
    with subprocess.Popen(
        command(*loaded, parameters=parameters), stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        while piece := os.read(process.stdout.fileno(), 1 << 20):
            size += len(piece)
            collector.add(parser.feed(piece))
    assert size > 100_000_000
    assert collector.finish().job(0).ok


def test_a_malformed_command_stream_is_explained(tmp_path: Path) -> None:
    image = tmp_path / "job.bin"
    image.write_bytes(build_image(Image((job(commands=STOP_ONLY[::-1]),))))
    arguments = (
        "-a",
        FIRMWARE,
        "--data",
        f"{image}@{JOB_LOAD_ADDRESS:#x}",
    )
    done = execute(*arguments, parameters=HEADLESS)
    error = answers(done.stdout).jobs[0].error
    assert error is not None
    assert "command parse error" in error.faults
    assert b"Warning: NPU fault: word 0" in done.stdout


def test_limits_end_a_run_that_would_not(loaded: tuple[str, ...]) -> None:
    # Without a shutdown rule the firmware sleeps for good.
    for limit, value, reason in (
        ("--timelimit", "1", b"Wall time"),
        ("--simlimit", "10", b"Simulated time"),
        ("--cyclelimit", "100000", b"Cycle limit"),
    ):
        done = execute(*loaded, limit, value)
        assert done.returncode == 0
        assert b"Info: Simulation is stopping. Reason: " + reason in done.stdout
