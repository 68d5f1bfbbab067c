"""What a run of the tests skipped and why: `python -m tests.support.skip_report DIRECTORY`.

DIRECTORY holds the run's JUnit XML files, as `make test JUNIT=DIRECTORY` writes them. Prints each
reason with its number of tests, loudest last: the sum. Ends with 1 when a test was skipped for a
reason that `.ci/skips.toml` does not list, or when there is no such file: what CI is meant to run
must not go missing unnoticed.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Skips", "read_skips"]

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = ROOT / ".ci" / "skips.toml"


@dataclass(frozen=True)
class Skips:
    """The skipped tests of a run."""

    #: Tests that ran or were skipped.
    tests: int
    #: Reason -> module -> number of its tests.
    reasons: dict[str, Counter[str]]

    @property
    def count(self) -> int:
        return sum(modules.total() for modules in self.reasons.values())

    def lines(self) -> list[str]:
        """The report, rarest reason first."""
        found = []
        for reason, modules in sorted(self.reasons.items(), key=lambda item: item[1].total()):
            found.append(f"{modules.total():5} x {' '.join(reason.split())}")
            found += [f"        {module}" for module in sorted(modules)]
        return [*found, f"SKIPPED: {self.count} of {self.tests} tests"]

    def unlisted(self, allowed: list[str]) -> list[str]:
        """The reasons that none of `allowed`, regular expressions, matches from the beginning."""
        return [r for r in self.reasons if not any(re.match(pattern, r) for pattern in allowed)]


def read_skips(files: list[Path]) -> Skips:
    """From JUnit XML as pytest writes it."""
    tests = 0
    reasons: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for file in files:
        for case in ElementTree.parse(file).iter("testcase"):
            tests += 1
            for skipped in case.findall("skipped"):
                module = case.attrib["classname"] or case.attrib["name"]
                reasons[_reason(skipped)][module] += 1
    return Skips(tests, dict(reasons))


def _reason(skipped: ElementTree.Element) -> str:
    message = skipped.attrib["message"]
    if message != "collection skipped":
        return message
    # A whole module: pytest puts where and why into the text, as a tuple.
    return str(ast.literal_eval(skipped.text or "")[-1]).removeprefix("Skipped: ")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path)
    directory: Path = parser.parse_args().directory
    files = sorted(directory.glob("*.xml"))
    if not files:
        print(f"there is no JUnit file in {directory}: nothing was run, or not to its end")
        return 1
    skips = read_skips(files)
    print(*skips.lines(), sep="\n")
    listed = tomllib.loads(ALLOWED.read_text(encoding="utf-8"))["skip"]
    unlisted = skips.unlisted([entry["reason"] for entry in listed])
    for reason in unlisted:
        print(f"NOT ALLOWED, for {ALLOWED.relative_to(ROOT)} does not list it: {reason}")
    return 1 if unlisted else 0


if __name__ == "__main__":
    sys.exit(main())
