"""`.ci/run` fails when anything in it does, and tells of the skips in any case."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bench_runs import ROOT

LISTED, UNLISTED = "ser2net is missing: NOT tested", "the package unicorn is missing: NOT tested"

#: Stands for make: says what it was asked for, leaves the file that `make test` leaves, and ends
#: with the status it is told.
MAKE = """#!/bin/sh
echo "make $*"
[ "$1" = test-slow ] && exit "$SLOW"
[ "$1" = test-speed ] && exit "$SPEED"
[ "$1" = test ] || exit "$IMAGES"
mkdir -p build/junit
cat > build/junit/modules.xml <<END
<testsuites><testsuite><testcase classname="tests.test_a" name="test_b">
<skipped message="$REASON"></skipped></testcase></testsuite></testsuites>
END
exit "$TESTS"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The script with what it needs; without a package manager it has nothing to install."""
    for part in (".ci", "tests/support"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    programs = tmp_path / "programs"
    # A link to Python would not find what is installed beside it.
    python = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n'
    for program, text in ((programs / "make", MAKE), (tmp_path / ".venv/bin/python", python)):
        program.parent.mkdir(parents=True)
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)
    for name in ("bash", "cat", "dirname", "id", "mkdir", "rm", "sh", "timeout"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    return tmp_path


def run(checkout: Path, **told: str) -> tuple[int, str]:
    """Its status and output, where `make` does as `told`."""
    environment = {"TESTS": "0", "SLOW": "0", "SPEED": "0", "IMAGES": "0", "REASON": LISTED, **told}
    done = subprocess.run(
        [str(checkout / "programs" / "bash"), checkout / ".ci" / "run"],
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("BENCH_")},
            **environment,
            "PATH": str(checkout / "programs"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout


def test_it_runs_tests_and_images_and_tells_of_skips(checkout: Path) -> None:
    status, told = run(checkout)
    assert status == 0, told
    # What it says while it fetches what the tests want goes nowhere.
    assert told.splitlines() == [
        "make test JUNIT=build/junit",
        "make test-slow JUNIT=build/junit",
        "make test-speed JUNIT=build/junit",
        "",
        f"    1 x {LISTED}",
        "        tests.test_a",
        "SKIPPED: 1 of 1 tests",
        "make test-images",
    ]


@pytest.mark.parametrize(
    "told",
    [{"TESTS": "2"}, {"SLOW": "2"}, {"SPEED": "2"}, {"REASON": UNLISTED}, {"IMAGES": "1"}],
    ids=lambda told: str(*told),
)
def test_whatever_fails_fails_it_after_the_skips_are_told(
    checkout: Path, told: dict[str, str]
) -> None:
    status, said = run(checkout, **told)
    assert status != 0
    assert "SKIPPED: 1 of 1 tests" in said
    assert ("make test-images" in said) == ("IMAGES" in told)


def test_the_skips_of_an_earlier_run_are_not_told(checkout: Path) -> None:
    (checkout / "build" / "junit").mkdir(parents=True)
    (checkout / "build" / "junit" / "earlier.xml").write_text("<no>", encoding="utf-8")
    assert run(checkout)[0] == 0
