"""The bench as its users have it: the wheel, in an environment without the project.

Downloading hundreds of megabytes would be most of a test. So the environment gets links to the
installed distributions that the wheel requires, and to no others: what it does not declare is not
there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.bench_runs import ROOT

__all__ = ["InstalledBench", "build_wheel", "install_with_links", "new_environment"]

#: Variables of the run of pytest that this is, and of the project's own environment.
_OURS = ("PYTEST_", "PYTHON", "COVERAGE", "COV_", "VIRTUAL_ENV", "BENCH_")


@dataclass(frozen=True)
class InstalledBench:
    """An environment with the bench."""

    environment: Path
    cache: Path

    def run(
        self, directory: Path, *command: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in `directory`, as a user would."""
        return subprocess.run(
            self.command(*command),
            cwd=directory,
            env=self.variables(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )

    def command(self, program: str, *arguments: str) -> list[str]:
        """A command with the path of its program."""
        return [str(self.environment / "bin" / program), *arguments]

    def variables(self, more: Mapping[str, str]) -> dict[str, str]:
        """The variables of a user's shell."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_OURS) and k != "CI"}
        path = f"{self.environment / 'bin'}:{os.environ['PATH']}"
        return {**kept, "PATH": path, "BENCH_CACHE": str(self.cache), **more}

    @property
    def packages(self) -> Path:
        """Where its packages are."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.environment / "lib" / version / "site-packages"


def build_wheel(directory: Path) -> Path:
    """Build the wheel of this tree, without the network."""
    _pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(directory), str(ROOT))
    (wheel,) = directory.glob("*.whl")
    return wheel


def new_environment(directory: Path) -> None:
    """An empty virtual environment; not even pip is in it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)


def install_with_links(wheel: Path, bench: InstalledBench, *extras: str) -> None:
    """Install the wheel with `extras`, with links to what it requires."""
    _pip("--python", str(bench.environment / "bin/python"), "install", "--no-deps", str(wheel))
    (metadata,) = bench.packages.glob("ethos_u55_bench-*.dist-info/METADATA")
    lines = metadata.read_text(encoding="utf-8").splitlines()
    required = [
        text.removeprefix("Requires-Dist: ") for text in lines if text.startswith("Requires-Dist")
    ]
    for name in sorted(set(_closure(required, extras))):
        _link(name, bench)


def _closure(requirements: Sequence[str], chosen: Sequence[str]) -> Iterator[str]:
    """The names of the distributions that fulfil `requirements` with the extras `chosen`."""
    waiting: list[tuple[str, tuple[str, ...]]] = [(text, ("", *chosen)) for text in requirements]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while waiting:
        text, extras = waiting.pop()
        requirement = Requirement(text)
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in extras):
            continue
        name, inner = canonicalize_name(requirement.name), ("", *sorted(requirement.extras))
        if (name, inner) in seen:
            continue
        seen.add((name, inner))
        try:
            found = distribution(name)
        except PackageNotFoundError as error:
            raise AssertionError(f"{text} is required, and not installed") from error
        yield name
        waiting += [(each, inner) for each in found.requires or ()]


def _link(name: str, bench: InstalledBench) -> None:
    found = distribution(name)
    for entry in found.entry_points.select(group="console_scripts"):
        module, _, function = entry.value.partition(":")
        script = bench.environment / "bin" / entry.name
        script.write_text(
            f"#!{bench.environment / 'bin' / 'python'}\n"
            f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n",
            encoding="utf-8",
        )
        script.chmod(0o755)
    for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
        place = bench.packages / top
        if not place.exists():
            place.symlink_to(Path(str(found.locate_file(top))))


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
