"""`python -m tests.faults [PATTERN]`: the whole fault matrix, one run after another.

Writes a table of Markdown to standard output. Exit status 1 where something did not hold.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import tempfile
from pathlib import Path

from tests.faults.injection import clean_run, inject
from tests.faults.matrix import CASES, Moment

_TRIES = 3


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("pattern", nargs="?", default="*", help="only cases like worker-SIGKILL-*")
    parser.add_argument("--stop", type=float, default=60.0, help="seconds a process stays stopped")
    options = parser.parse_args()
    chosen = [case for case in CASES if fnmatch.fnmatch(case.id, options.pattern)]
    bad = 0
    with tempfile.TemporaryDirectory(prefix="bench-faults-") as name:
        root = Path(name)
        clean = {}
        for trained in {case.moment is Moment.TRAIN for case in chosen}:
            directory = root / f"clean-{trained}"
            directory.mkdir()
            clean[trained] = clean_run(directory, trained=trained)
        print("| process | fault | moment | ended after | status | |")
        print("| --- | --- | --- | --- | --- | --- |")
        for case in chosen:
            for attempt in range(_TRIES):
                directory = root / f"{case.id}-{attempt}"
                directory.mkdir()
                found = inject(case, directory, clean[case.moment is Moment.TRAIN], options.stop)
                if found.hit or found.wrong:
                    break
            result = "; ".join(found.wrong) or ("holds" if found.hit else "the moment never came")
            bad += bool(found.wrong) or not found.hit
            print(
                f"| {case.victim.value} | {case.fault.value} | {case.moment.value} "
                f"| {found.seconds:.0f} s | {found.status} | {result} |",
                flush=True,
            )
            if found.wrong:
                sys.stderr.write(found.output[-3000:] + "\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
