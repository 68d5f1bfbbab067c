"""`python -m tests.fuzz`: a long campaign, or one case again.

python -m tests.fuzz --minutes 30 --zoo       # small models and those of BENCH_MODEL_ZOO
python -m tests.fuzz --seed 1 --case 4711     # one case, in this process, with its traceback
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
from pathlib import Path

from tests.fuzz.campaign import SIMULATOR, run_campaign
from tests.fuzz.cases import make_case
from tests.fuzz.execution import execute
from tests.fuzz.guards import guarded
from tests.fuzz.seeds import build_seeds, zoo_seeds


def main() -> int:
    """0 if nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the campaign")
    parser.add_argument("--case", type=int, help="run this one only, in this process")
    parser.add_argument("--cases", type=int, help="run so many from 0 on")
    parser.add_argument("--minutes", type=float, default=10, help="time for the campaign")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="worker processes")
    parser.add_argument("--limit", type=float, default=10, help="processor seconds for one case")
    parser.add_argument("--keep", type=Path, help="write the file of --case here")
    parser.add_argument(
        "--zoo", action="store_true", help="also mutate the models in BENCH_MODEL_ZOO"
    )
    options = parser.parse_args()
    zoo = os.environ.get("BENCH_MODEL_ZOO", "")
    if options.zoo and not Path(zoo).is_dir():
        parser.error("--zoo: set BENCH_MODEL_ZOO to a directory of quantised .tflite models")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        seeds = build_seeds(directory)
        if options.zoo:
            seeds += zoo_seeds(Path(zoo), directory)
        if options.case is not None:
            case = make_case(sorted(seeds, key=lambda seed: seed.name), options.seed, options.case)
            if options.keep:
                options.keep.write_bytes(case.data)
            print(case.category.value, case.description, flush=True)
            with guarded():
                outcome = execute(case, directory)
            print(outcome)
            return int(bool(outcome.finding))
        numbers = itertools.count() if options.cases is None else iter(range(options.cases))
        report = run_campaign(
            SIMULATOR,
            directory,
            options.seed,
            numbers,
            jobs=options.jobs,
            limit_s=options.limit,
            budget_s=60 * options.minutes,
        )
    print(report)
    return int(bool(report.findings))


if __name__ == "__main__":
    sys.exit(main())
