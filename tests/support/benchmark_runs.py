"""Running the project's benchmarks as their users do: as programs that write a JSON file."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.bench_runs import ROOT

__all__ = ["BenchmarkRun", "run_benchmark"]


@dataclass(frozen=True)
class BenchmarkRun:
    """A finished benchmark."""

    returncode: int
    #: What it printed, to either stream.
    output: str
    #: What it wrote; None if it wrote nothing.
    results: Any


def run_benchmark(directory: Path, name: str, *arguments: str | Path) -> BenchmarkRun:
    """`python -m benchmarks.NAME ARGUMENTS --json FILE`, with the file in `directory`."""
    file = directory / f"{name}.json"
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *map(str, arguments), "--json", str(file)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    return BenchmarkRun(done.returncode, done.stdout, results)
