"""`python -m tests.fuzz.inputs`: damaged inputs for the bench's entrances, or one of them again.

python -m tests.fuzz.inputs --minutes 10
python -m tests.fuzz.inputs --seed 1 --case 4711     # one case, in this process, kept with --keep
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
from pathlib import Path

from tests.fuzz.campaign import run_campaign
from tests.fuzz.inputs.cases import execute, make_case
from tests.fuzz.inputs.program import PROGRAM
from tests.fuzz.inputs.seeds import build_seeds


def main() -> int:
    """0 if nothing was found."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM.name,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=1, help="of the campaign")
    parser.add_argument("--case", type=int, help="run this one only, in this process")
    parser.add_argument("--cases", type=int, help="run so many from 0 on")
    parser.add_argument("--minutes", type=float, default=10, help="time for the campaign")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="worker processes")
    parser.add_argument("--limit", type=float, default=10, help="processor seconds for one case")
    parser.add_argument("--keep", type=Path, help="a new directory for the files of --case")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        seeds = build_seeds(directory / "seeds")
        if options.case is not None:
            place = options.keep or directory / "case"
            if options.keep and options.keep.exists():
                parser.error(f"--keep: {options.keep} is there already")
            case = make_case(seeds, place, options.seed, options.case)
            print(case.entrance.value, case.description, flush=True)
            outcome = execute(case)
            print(outcome)
            return int(bool(outcome.finding))
        numbers = itertools.count() if options.cases is None else iter(range(options.cases))
        report = run_campaign(
            PROGRAM,
            directory / "seeds",
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
