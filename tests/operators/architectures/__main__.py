"""Play all architectures and write the page of them: `make architectures`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.operators.architectures.catalogue import ARCHITECTURES
from tests.operators.architectures.playing import Outcome, outcome, play
from tests.operators.architectures.table import PAGE, page

#: So many meet every MAC count, in both memory modes.
TURNS = range(4)


def main() -> int:
    """Returns 1, and leaves the page as it is, where an architecture did not end as it must."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", default="auto", help="as pytest-xdist's -n")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="architectures-") as name:
        outcomes, failures = _played(Path(name), arguments.processes)
    for failure in failures:
        print(failure)
    if failures:
        return 1
    PAGE.write_text(page(ARCHITECTURES, outcomes), encoding="utf-8")
    print(f"{len(outcomes)} architectures ended as they must: {PAGE}")
    return 0


def _played(directory: Path, processes: str) -> tuple[dict[str, Outcome], list[str]]:
    """The outcomes by name, and what went wrong."""
    outcomes: dict[str, Outcome] = {}
    failures = []
    everything = list(enumerate(ARCHITECTURES))
    run, played = play(everything, directory, turns=TURNS, processes=processes)
    if run.returncode:
        failures.append(run.output)
    for one in played:
        try:
            outcomes[one.architecture.name] = outcome(one)
        except AssertionError as error:
            failures.append(str(error))
    return outcomes, failures


if __name__ == "__main__":
    sys.exit(main())
