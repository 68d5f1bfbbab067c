"""Many cases in worker processes; whatever ends a worker is charged to the case it was at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.core.processes import guarded

__all__ = ["SIMULATOR", "Finding", "Program", "Report", "run_campaign"]

_ROOT = Path(__file__).parents[2]
#: A worker that says nothing for so many times a case's limit, and its program's grace, is killed.
_PATIENCE = 20
#: Memory that a worker may write, in bytes, whatever its cases do.
_MEMORY_BYTES = 3 << 30


@dataclass(frozen=True)
class Program:
    """A kind of campaign."""

    #: The module that runs it: `python -m` this.
    module: str
    #: The module of its workers; see `tests.fuzz.serving`.
    worker: str
    #: Seconds by the clock that a case may wait for something besides computing.
    grace_s: float = 60

    @property
    def name(self) -> str:
        """The command that runs it."""
        return f"python -m {self.module}"


#: The simulator on damaged artefacts.
SIMULATOR = Program("tests.fuzz", "tests.fuzz.worker")


@dataclass(frozen=True)
class Finding:
    """A case that did not end in a result or a `BenchError`."""

    program: Program
    seed: int
    number: int
    description: str
    what: str

    def __str__(self) -> str:
        return (
            f"case {self.number} ({self.description}): {self.what}\n"
            f"  again: {self.program.name} --seed {self.seed} --case {self.number}"
        )


@dataclass
class Report:
    """What a campaign came to; workers add to it."""

    #: (category, verdict) -> cases.
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    #: Processor seconds, case and description of the slowest.
    slowest: tuple[float, int, str] = (0.0, -1, "")
    #: Largest resident memory of any worker.
    peak_bytes: int = 0

    @property
    def cases(self) -> int:
        """How many have ended."""
        return sum(self.verdicts.values())

    def __str__(self) -> str:
        lines = [f"{self.cases} cases, {len(self.findings)} findings"]
        for category in sorted({category for category, _ in self.verdicts}):
            counts = {v: n for (c, v), n in sorted(self.verdicts.items()) if c == category}
            words = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
            lines.append(f"{category}: {sum(counts.values())} ({words})")
        seconds, number, description = self.slowest
        lines.append(f"slowest: {seconds:.2f} s, case {number} ({description})")
        lines.append(f"peak memory of a worker: {self.peak_bytes >> 20} MiB")
        return "\n".join([*lines, *map(str, self.findings)])


def run_campaign(
    program: Program,
    directory: Path,
    seed: int,
    cases: Iterator[int],
    *,
    jobs: int,
    limit_s: float = 10.0,
    budget_s: float = float("inf"),
) -> Report:
    """Run the numbered `cases` on the seeds kept in `directory`, until `budget_s` is over.

    A case may take `limit_s` seconds of processor time. Ctrl-C ends it after the cases that are
    under way; the report is of those that were run.
    """
    report, lock, end = Report(), threading.Lock(), time.monotonic() + budget_s
    stopped = threading.Event()

    def numbers() -> Iterator[int]:
        while time.monotonic() < end and not stopped.is_set():
            with lock:
                number = next(cases, None)
            if number is None:
                return
            yield number

    def work() -> None:
        source = numbers()
        while _run_worker(program, directory, seed, source, limit_s, report, lock):
            pass

    threads = [threading.Thread(target=work) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        stopped.set()
        for thread in threads:
            thread.join()
    report.findings.sort(key=lambda finding: finding.number)
    return report


def _run_worker(
    program: Program,
    directory: Path,
    seed: int,
    numbers: Iterator[int],
    limit_s: float,
    report: Report,
    lock: threading.Lock,
) -> bool:
    """One worker, until the cases or its life are over; whether it died."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", program.worker, str(directory), str(seed), str(limit_s)]
    with (
        tempfile.TemporaryFile() as errors,
        guarded(
            command,
            memory_bytes=_MEMORY_BYTES,
            stdin=subprocess.PIPE,
            stderr=errors,
            cwd=_ROOT,
            environment=environment,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        for number in numbers:
            # A worker that waits for something, or that even its own timer cannot end.
            watchdog = threading.Timer(_PATIENCE * limit_s + program.grace_s, process.kill)
            watchdog.start()
            try:
                process.stdin.write(f"{number}\n".encode())
                process.stdin.flush()
                begun, ended = process.stdout.readline(), process.stdout.readline()
            except BrokenPipeError:
                begun = ended = b""
            watchdog.cancel()
            if not ended:
                process.wait()
                errors.seek(0)
                words = errors.read()[-3000:].decode("utf-8", "replace")
                with lock:
                    _charge(report, program, seed, number, begun, process.returncode, words)
                return True
            with lock:
                _note(report, program, seed, json.loads(begun), json.loads(ended))
        process.stdin.close()
    return False


def _note(
    report: Report, program: Program, seed: int, begun: dict[str, str], ended: dict[str, object]
) -> None:
    outcome = ended["outcome"]
    assert isinstance(outcome, dict)
    number, seconds = outcome["number"], outcome["seconds"]
    report.verdicts[outcome["category"], outcome["verdict"]] += 1
    report.slowest = max(report.slowest, (seconds, number, begun["description"]))
    report.peak_bytes = max(report.peak_bytes, int(str(ended["peak_bytes"])))
    if outcome["finding"]:
        description, what = begun["description"], outcome["finding"]
        report.findings.append(Finding(program, seed, number, description, what))


def _charge(
    report: Report,
    program: Program,
    seed: int,
    number: int,
    begun: bytes,
    status: int | None,
    words: str,
) -> None:
    message = json.loads(begun) if begun else {"category": "unknown", "description": "not begun"}
    report.verdicts[message["category"], "died"] += 1
    what = f"the worker ended with status {status}; its last words:\n{words}"
    report.findings.append(Finding(program, seed, number, message["description"], what))
