"""Does the new Vela make any model worse? Two versions on public models and on the study.

`python -m benchmarks.vela_versions ZOO` (`make velas`) compiles and measures, on target `sim`, the
models in ZOO and the workloads of `bench.toml` with both versions, and writes
`docs/vela-versions.md`. Cycles are estimates; sizes are Vela's. The models get a few random inputs,
because no figure here depends on them; the study runs on the subset of MNIST.

The exit status is 1, and no page is written, if a cell has no figures, or an output of either
version differs from the reference interpreter's.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from bench.core.text import shell_words
from bench.plan.cell import INSTALLED_VELA
from bench.records.record import Record
from bench.records.run_directory import RunDirectory
from benchmarks.json_file import add_json_option, write_json
from benchmarks.vela_comparison import Pair, broken, page, worse

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "vela-versions.md"
#: Where the runs are kept.
WORK = ROOT / "build" / "vela-versions"
#: Inputs of each model: enough to compare outputs.
INPUTS = 4
#: Of the study's test set, those that the interpreter runs.
REFERENCE_SAMPLES = 20


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zoo", type=Path, help="directory with quantised .tflite models")
    parser.add_argument("--old", default="5.0.0", help="a version of Vela")
    parser.add_argument("--new", default="5.2.0", help="a later version")
    parser.add_argument("--macs", type=int, nargs="*", default=[32, 64, 128, 256])
    parser.add_argument("--modes", nargs="*", default=["Shared_Sram", "Sram_Only"])
    parser.add_argument("--no-study", action="store_true", help="only the models")
    parser.add_argument("--processes", default="auto", help="as pytest-xdist's -n")
    parser.add_argument("--page", type=Path, default=PAGE, help="default: docs/vela-versions.md")
    parser.add_argument("--work", type=Path, default=WORK, help="where runs are kept")
    add_json_option(parser)
    given = parser.parse_args()
    head = _grid(given.macs, given.modes, (given.old, given.new))
    configs = {"models": head + _models(given.zoo)}
    if not given.no_study:
        configs["study"] = head + _study()
    pairs: list[Pair] = []
    for name, text in configs.items():
        records = _measured(given.work / name, text, given.processes)
        if records is None:
            return 1
        pairs += _paired(records, given.old, given.new)
    problems = [problem for pair in pairs for problem in broken(pair)]
    for problem in problems:
        print(problem)
    write_json(given.json, [pair.summary() for pair in pairs])
    if problems or not pairs:
        return 1
    given.page.write_text(page(pairs, given.old, given.new), encoding="utf-8")
    print(f"{len(pairs)} cells, {sum(map(bool, map(worse, pairs)))} of them worse: {given.page}")
    return 0


def _grid(macs: Iterable[int], modes: Iterable[str], versions: Iterable[str]) -> str:
    return (
        f"[grid]\nmacs = {list(macs)}\nmemory_modes = {_array(modes)}\ntargets = ['sim']\n"
        f"vela = {_array(versions)}\n\n[data]\nmnist = 'subset'\n\n"
        f"[reference]\nsamples = {REFERENCE_SAMPLES}\n\n"
    )


def _array(names: Iterable[str]) -> str:
    return f"[{', '.join(repr(name) for name in names)}]"


def _models(zoo: Path) -> str:
    """The models of `zoo` as workloads."""
    lines = ["[workloads]"]
    for path in sorted(zoo.glob("*.tflite")):
        name = re.sub(r"[^a-z0-9_]", "_", path.stem.lower())
        lines.append(f"{name} = {{ model = '{path.resolve()}', random_inputs = {INPUTS} }}")
    return "\n".join(lines) + "\n"


def _study() -> str:
    """The workloads of the default grid."""
    text = (ROOT / "bench.toml").read_text(encoding="utf-8")
    return text[text.index("\n[workloads") :]


def _measured(directory: Path, config: str, processes: str) -> list[Record] | None:
    """The records of a run of `config`; None, and why on the terminal, if some are missing."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "bench.toml"
    path.write_text(config, encoding="utf-8")
    command = [
        *(sys.executable, "-m", "pytest", f"--bench-config={path}", "-n", processes, "-q", "-rN"),
        f"--bench-results={directory / 'results'}",
    ]
    print(shell_words(command), flush=True)
    # Whoever runs this may be a worker of pytest; the bench is not.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    subprocess.run(command, cwd=ROOT, env=environment, check=False)
    run = RunDirectory(directory / "results" / "latest")
    read = run.records()
    missing = set(run.manifest().planned_cells) - {record.cell.id for record in read.found}
    if missing or read.unreadable:
        print(f"not measured: {', '.join(sorted(missing))}", *read.unreadable, sep="\n")
        return None
    return list(read.found)


def _paired(records: Iterable[Record], old: str, new: str) -> list[Pair]:
    """The cells under both versions, in the order of the plan."""
    cells: dict[str, dict[str, Record]] = {}
    for record in records:
        version = record.compilation.vela_version
        name = record.cell.id
        if record.cell.vela != INSTALLED_VELA:
            name = name.rpartition("-")[0]
        cells.setdefault(name, {})[version] = record
    return [Pair(name, both[old], both[new]) for name, both in cells.items()]


if __name__ == "__main__":
    sys.exit(main())
