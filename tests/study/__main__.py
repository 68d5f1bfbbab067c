"""Play the whole study and write its page: `make study`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.study.harmless import HARMLESS
from tests.study.playing import play
from tests.study.regressions import REGRESSIONS
from tests.study.table import PAGE, page


def main() -> int:
    """Returns 1, and leaves the page as it is, where the bench was wrong about a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2, help="benches that run at once")
    parser.add_argument("--only", default="", help="cases whose name contains this; no page then")
    arguments = parser.parse_args()
    cases = [case for case in (*REGRESSIONS, *HARMLESS) if arguments.only in case.name]
    played = []
    with tempfile.TemporaryDirectory(prefix="study-") as name:
        for one in play(cases, Path(name), processes=arguments.processes):
            played.append(one)
            print(f"{len(played)} of {len(cases)}: {one.case.name}: {one.fault or one.told}")
            sys.stdout.flush()
    faults = [one for one in played if one.fault]
    print(f"{len(played)} played, the bench was wrong about {len(faults)}")
    if faults:
        return 1
    if not arguments.only:
        PAGE.write_text(page(played), encoding="utf-8")
        print(f"written {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
