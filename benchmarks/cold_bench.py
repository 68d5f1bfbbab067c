"""What the bench costs on top of the work itself: a cold bench against a plain script.

The plain script trains the same eight variants and compiles the same sixty-four models one after
the other in one process, keeps only the files, and judges nothing. The bench does the same
trainings and compilations on an empty cache, and also measures, judges and records. A second
bench on the same cache shows the cost when nothing has to be built.

    python -m benchmarks.cold_bench               # all of them, then the ratios
    python -m benchmarks.cold_bench --plain DIR   # only the plain script, into DIR

Absolute times mean nothing beyond the machine they were taken on; compare the ratios of one run.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.json_file import add_json_option, write_json

ROOT = Path(__file__).resolve().parent.parent
#: What is promised, as shares of the plain script's wall time, on at least two cores.
ALONE, WITH_ALL_CORES, AGAIN = 1.0, 0.75, 0.06


def plain(directory: Path) -> None:
    """Train and compile the default grid, in sequence."""
    from bench.plan.config import TrainedWorkload, load_config
    from bench.plan.grid import make_plan
    from models.builder import build
    from models.data import resolve_mnist
    from models.messages import BuildRequest, StoredData
    from models.reading.datasets import go_through_data
    from models.reading.loading import RecipeLoader
    from models.reading.origin import Origin
    from models.spec import TrainSpec

    config = load_config(ROOT / "bench.toml")
    data, loader = resolve_mnist(config.data.mnist), RecipeLoader()
    for name, workload in config.workloads.items():
        assert isinstance(workload, TrainedWorkload)
        origin = Origin(name=workload.recipe, options={"mnist": data.name})
        recipe, place = loader.load(origin), directory / name / "data"
        place.mkdir(parents=True)
        facts = go_through_data(origin, recipe, (), place)
        for variant, spec in workload.variants.items():
            out = directory / name / variant
            out.mkdir(parents=True)
            parent = None if isinstance(spec, TrainSpec) else directory / name / spec.parent
            request = BuildRequest(
                workload=name,
                variant=variant,
                origin=origin,
                spec=spec,
                quantise=workload.quantise,
                seed=workload.seed,
                data=StoredData.within(data.name, place, facts),
                parent_dir=parent,
            )
            build(request, recipe, out, lambda text, share: None)
    for cell in make_plan(config).cells:
        command = [
            *(sys.executable, "-m", "ethosu.vela"),
            str(directory / cell.workload / cell.variant / "model.tflite"),
            *("--accelerator-config", cell.accelerator.vela_name),
            *("--memory-mode", cell.memory_mode.value),
            *("--system-config", cell.system_config, "--config", "Arm/vela.ini"),
            *("--output-dir", str(directory / "compiled" / cell.id), "--verbose-performance"),
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def processor() -> str:
    """What the processor calls itself."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


@dataclass(frozen=True)
class Cost:
    """The time of a command and everything it started, in seconds."""

    wall: float
    #: User and system time of all processes: the wall time on one idle core.
    cpu: float


def timed(command: list[str]) -> Cost:
    """Run `command`, which must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    result = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wall = time.monotonic() - start
    if result.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{result.stdout[-4000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, used)


def bench(directory: Path, workers: str) -> Cost:
    """A bench on the cache in `directory`, which is empty the first time."""
    return timed(
        [
            *(sys.executable, "-m", "pytest", "-n", workers, "-q"),
            # A user's environment has no hypothesis, whose plugin takes a second to import.
            *("-p", "no:hypothesispytest"),
            # Also where everything else runs as in CI: the work is what counts here.
            "--no-bench-ci",
            f"--bench-cache={directory / 'cache'}",
            f"--bench-results={directory / 'results'}",
        ]
    )


def main() -> None:
    """Measure one after the other and print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plain", type=Path, metavar="DIR", help="only the plain script, into DIR")
    add_json_option(parser)
    arguments = parser.parse_args()
    if arguments.plain is not None:
        plain(arguments.plain)
        return
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        script = timed(
            [sys.executable, "-m", "benchmarks.cold_bench", "--plain", str(root / "plain")]
        )
        one = bench(root / "one", "1")
        auto = bench(root / "auto", "auto")
        again = bench(root / "auto", "auto")
    print(f"on {os.cpu_count()} cores of {processor()}")
    print(f"{'':14} {'wall':>9} {'ratio':>6} {'CPU':>9} {'ratio':>6}")
    ratios: dict[str, float] = {}
    broken: list[str] = []
    for name, cost, bound in (
        ("plain script", script, None),
        ("bench -n 1", one, ALONE),
        ("bench -n auto", auto, WITH_ALL_CORES),
        ("the same again", again, AGAIN),
    ):
        ratios[name] = cost.wall / script.wall
        promise = "" if bound is None else f"wall ratio at most {bound:g}"
        print(
            f"{name:14} {cost.wall:7.1f} s {ratios[name]:6.3f} "
            f"{cost.cpu:7.1f} s {cost.cpu / script.cpu:6.3f}  {promise}".rstrip()
        )
        if bound is not None and ratios[name] > bound:
            broken.append(name)
    print(f"the second run took {again.wall / auto.wall:.3f} of the first one's wall time")
    write_json(arguments.json, {"ratios": ratios, "broken": broken})
    if broken:
        sys.exit("the bench costs more than is allowed")


if __name__ == "__main__":
    main()
