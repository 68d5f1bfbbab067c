"""Build the images for real and run the bench in them: `python -m tests.images.try_images`.

It takes the Docker engine of this machine, or, as root on Debian, installs one and starts it for
the while, with a base image made by debootstrap. Where there is no engine to be had it says so
loudly and ends with status 0, or with 1 if asked to `--require` one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.images.base_image import BASE_IMAGE, ensure_base_image
from tests.images.engine import (
    EngineUnavailableError,
    RunningEngine,
    install_engine,
    running_engine,
)
from tests.support.models.tflite_factory import mlp

__all__ = ["main", "write_stand_in"]

ROOT = Path(__file__).resolve().parents[2]
_PREFIX = "ethos-u55-bench-try"
_BUILD_SECONDS = 3600.0
_RUN_SECONDS = 1200.0
_CERTIFICATES = "SSL_CERT_FILE"

#: A grid that trains for seconds: two variants, one accelerator.
_SMALL = """
[grid]
macs = [128]
memory_modes = ["Shared_Sram"]
targets = ["sim"]

[data]
mnist = "subset"

[workloads.small]
recipe = "mnist_fc"
seed = 1

[workloads.small.variants]
base = { method = "train", epochs = 1, batch_size = 128 }
pruned = { method = "prune", epochs = 1, batch_size = 256 }

[[workloads.small.limits]]
metric = "accuracy"
min = 0.5
"""
#: A user's own directory, whose packages have the names of ours.
_OWN = """
[grid]
macs = [128]
memory_modes = ["Shared_Sram"]

[workloads]
net = "net.tflite"

[workloads.mine]
recipe = "recipes/mine.py"

[workloads.mine.variants]
base = { method = "train", epochs = 1 }
"""
_RECIPE = """
import numpy as np
from models import model


def data():
    x = np.random.default_rng(0).random((300, 12), dtype=np.float32)
    y = (x[:, 0] > x[:, 1]).astype(int)
    return {"train": (x[:200], y[:200]), "test": (x[200:], y[200:])}
"""
_MODELS = """
def model():
    import tensorflow as tf
    layers = tf.keras.layers
    return tf.keras.Sequential([layers.Input((12,)), layers.Dense(2, activation="softmax")])
"""
_NAMES = ("bench", "targets", "tests")
_ON_FVP = f"""
[targets.fvp]
samples = 20

[targets.fvp.container]
image = "{_PREFIX}-virtual"
memory = "2g"
"""


class CheckFailedError(Exception):
    """An image does not do what it should; the message says which and what."""


@dataclass(frozen=True)
class _Trial:
    """An engine, a copy of the build context, and a place for results."""

    engine: RunningEngine
    #: A client that can talk to BuildKit.
    builder: str
    context: Path
    work: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.engine.environment, "DOCKER_BUILDKIT": "1"}

    def build(self, stage: str, *options: str) -> subprocess.CompletedProcess[str]:
        """`docker build --target stage`; its output is shown only if it fails unexpectedly."""
        command = [
            *(self.builder, "build", "--network=host", "--progress=plain"),
            *("--target", stage, "--tag", f"{_PREFIX}-{stage}", *_secrets(), *options),
            str(self.context),
        ]
        return self._call(command, _BUILD_SECONDS)

    def _call(self, command: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
        """Run `command` to its end; standard output and error come as one text."""
        return subprocess.run(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
        )

    def must_build(self, stage: str, *options: str) -> None:
        with _step(f"build {stage}"):
            done = self.build(stage, *options)
            if done.returncode != 0:
                raise CheckFailedError(f"stage {stage} does not build:\n{done.stdout[-4000:]}")

    def run(self, image: str, *arguments: str, options: Sequence[str] = ()) -> str:
        """What a container of `image` prints. Raises `CheckFailedError` if it fails."""
        command = ["docker", "run", "--rm", "--network=none", *options, image, *arguments]
        done = self._call(command, _RUN_SECONDS)
        if done.returncode != 0:
            raise CheckFailedError(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}")
        return done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, prog="tests.images.try_images")
    parser.add_argument(
        "--require", action="store_true", help="fail when there is no engine to be had"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="where an engine of our own keeps its images for the next time (default: nowhere)",
    )
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        with _step("engine"):
            install_engine()
        with running_engine(options.keep) as engine:
            _try_all(engine)
    except EngineUnavailableError as error:
        print(f"\n*** THE CONTAINER IMAGES WERE NOT TESTED: {error} ***\n", flush=True)
        return 1 if options.require else 0
    except CheckFailedError as error:
        print(f"\nFAILED: {error}", file=sys.stderr)
        return 1
    print(f"images: all checks passed in {time.monotonic() - started:.0f} s")
    return 0


def _try_all(engine: RunningEngine) -> None:
    print(f"engine: {'our own' if engine.private else 'the one here'}, {engine.storage_driver}")
    with _step("base image"):
        print(f"  {BASE_IMAGE}: {ensure_base_image(engine)}")
    with tempfile.TemporaryDirectory(prefix="bench-images-", dir="/var/tmp") as name:
        context = Path(name, "context")
        _copy_context(context)
        trial = _Trial(engine, _builder(), context, Path(name))
        trial.must_build("bench")
        _check_main_job(trial)
        _check_own_directory(trial)
        trial.must_build("virtual")
        _check_fvp_in_containers(trial)
        _check_licence_is_asked(trial)
        _check_fvp_from_archive(trial)
        if not engine.private:
            for stage in ("bench", "virtual", "fvp"):
                engine.docker("rmi", "--force", f"{_PREFIX}-{stage}")
    with _step("confinement and clean-up of job containers"):
        _pytest(trial.environment, "tests/integration/test_fvp_containers.py", "-q")


def _check_main_job(trial: _Trial) -> None:
    """The image runs the main job: trains, compiles, measures, judges, and writes results."""
    with _step("main job in the image"):
        shared = trial.work / "shared"
        results = shared / "results"
        results.mkdir(parents=True)
        for directory in (trial.work, shared, results):
            directory.chmod(0o777 if directory is results else 0o755)
        (shared / "bench.toml").write_text(_SMALL, encoding="utf-8")
        trial.run(
            f"{_PREFIX}-bench",
            "--bench-config=/shared/bench.toml",
            options=(
                f"--volume={shared / 'bench.toml'}:/shared/bench.toml:ro",
                f"--volume={results}:/results",
            ),
        )
        _require_cells(results, 2, "sim")


def _check_own_directory(trial: _Trial) -> None:
    """A user's directory is mounted, read-only: its bench.toml and its recipe are found."""
    with _step("a directory of the user's own"):
        own, results = trial.work / "own", trial.work / "own-results"
        folders = [own / name for name in (*_NAMES, "models", "recipes")]
        for directory in (own, results, *folders):
            directory.mkdir()
            directory.chmod(0o777 if directory is results else 0o755)
        for name in _NAMES:
            (own / name / "__init__.py").write_text("raise RuntimeError\n", encoding="utf-8")
        (own / "models" / "__init__.py").write_text(_MODELS, encoding="utf-8")
        (own / "recipes" / "mine.py").write_text(_RECIPE, encoding="utf-8")
        weights = np.random.default_rng(1).integers(-127, 128, (10, 40)).astype(np.int8)
        (own / "net.tflite").write_bytes(mlp([weights]))
        (own / "bench.toml").write_text(_OWN, encoding="utf-8")
        mounts = (f"--volume={own}:/work:ro", f"--volume={results}:/results")
        trial.run(f"{_PREFIX}-bench", options=mounts)
        _require_cells(results, 2, "sim")
        listed = trial.run(f"{_PREFIX}-bench", "bench", "cells", options=mounts)
        if "net-base-u55_128-shared_sram-sim" not in listed.split():
            raise CheckFailedError(f"`bench cells` lists {listed!r}")
        study = trial.run(f"{_PREFIX}-bench", "--collect-only", "-q")
        if "mnist_fc-pruned-u55_128" not in study:
            raise CheckFailedError(f"without a directory there is no study: {study!r}")


def _check_fvp_in_containers(trial: _Trial) -> None:
    """`--bench-target fvp` here, each job in a container of the image with the virtual platform."""
    with _step("target fvp, jobs in containers"):
        config = trial.work / "fvp.toml"
        config.write_text(_SMALL + _ON_FVP, encoding="utf-8")
        results = trial.work / "fvp-results"
        _pytest(
            trial.environment,
            # This grid has no baselines, and is to need none where CI is set.
            *("-n", "2", "--no-bench-ci", "--bench-target=fvp", f"--bench-config={config}"),
            *(f"--bench-results={results}", f"--bench-cache={trial.work / 'cache'}"),
        )
        for record in _require_cells(results, 2, "fvp"):
            provenance = record["measurement"]["provenance"]
            if "Virtual Corstone-300" not in provenance["fvp"] or not provenance["image"]:
                raise CheckFailedError(f"the record does not say what ran: {provenance}")
            if record["reference"]["mismatches"] != 0:
                raise CheckFailedError(f"outputs differ: {record['reference']}")
        left = trial.engine.docker("ps", "--all", "--quiet")
        if trial.engine.private and left:
            raise CheckFailedError(f"containers were left behind: {left}")


def _check_licence_is_asked(trial: _Trial) -> None:
    """Without the build argument there is no FVP, but a sentence."""
    with _step("stage fvp asks for consent"):
        done = trial.build("fvp")
        if done.returncode == 0 or "without your consent to Arm's licence" not in done.stdout:
            raise CheckFailedError(f"stage fvp built without consent:\n{done.stdout[-2000:]}")


def _check_fvp_from_archive(trial: _Trial) -> None:
    """The stage installs what an archive of Arm's form holds. This one is a stand-in."""
    name = "deploy/docker/archives/stand-in.tgz"
    archive = trial.context / name
    archive.parent.mkdir(parents=True, exist_ok=True)
    write_stand_in(archive)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    trial.must_build(
        "fvp",
        f"--build-arg=FVP_ARCHIVE={name}",
        f"--build-arg=FVP_SHA256={digest}",
        "--build-arg=ARM_FVP_INSTALL_I_AGREE_TO_THE_CONTAINED_EULA=True",
    )
    with _step("the installed FVP is found"):
        said = trial.run(f"{_PREFIX}-fvp", "FVP_Corstone_SSE-300_Ethos-U55", "--version")
        if "Fast Models" not in said:
            raise CheckFailedError(f"the installed executable says {said!r}")


def write_stand_in(archive: Path) -> None:
    """An archive as Arm's: an installer that takes the licence's option and a directory."""
    with tempfile.TemporaryDirectory() as name:
        installer = Path(name, "FVP_Corstone_SSE-300.sh")
        installer.write_text(
            "#!/bin/bash\n"
            '[ "$1 $2 $3" = "--no-interactive --i-agree-to-the-contained-eula -d" ] || exit 1\n'
            'model="$4/models/Linux64_GCC-9.3/FVP_Corstone_SSE-300_Ethos-U55"\n'
            'mkdir -p "$(dirname "$model")"\n'
            'printf "#!/bin/sh\\necho Fast Models [stand-in]\\n" > "$model"\n'
            'chmod +x "$model"\n',
            encoding="utf-8",
        )
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(installer, installer.name)


def _require_cells(results: Path, count: int, target: str) -> list[dict[str, Any]]:
    found = [
        json.loads(path.read_text(encoding="utf-8")) for path in results.glob("latest/cells/*.json")
    ]
    if len(found) != count or any(record["cell"]["target"] != target for record in found):
        raise CheckFailedError(f"{len(found)} records in {results}, not {count} of target {target}")
    return found


def _pytest(environment: Mapping[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_RUN_SECONDS,
    )
    if done.returncode != 0:
        raise CheckFailedError(f"pytest {' '.join(arguments)}:\n{done.stdout[-4000:]}")
    print(f"  {done.stdout.strip().splitlines()[-1]}")


def _copy_context(context: Path) -> None:
    """What .dockerignore lets through, in a directory of its own: other files may join it."""
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    context.mkdir()
    for name in ["Dockerfile", ".dockerignore", *(p[1:] for p in patterns if p.startswith("!"))]:
        source, goal = ROOT / name, context / name
        goal.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "archives")
            shutil.copytree(source, goal, ignore=ignored)
        elif source.is_file():
            shutil.copy(source, goal)


def _builder() -> str:
    """A Docker client that speaks BuildKit: with the plugin buildx, or of before version 23."""
    for candidate in dict.fromkeys((shutil.which("docker"), "/usr/bin/docker")):
        if candidate is None or not Path(candidate).is_file():
            continue
        if subprocess.run([candidate, "buildx", "version"], capture_output=True).returncode == 0:
            return candidate
        said = subprocess.run([candidate, "--version"], capture_output=True, text=True).stdout
        version = re.search(r"version (\d+)\.", said)
        if version is not None and int(version[1]) < 23:
            return candidate
    raise EngineUnavailableError("the Docker client has no BuildKit: install docker-buildx")


def _secrets() -> list[str]:
    """This machine's certificates and pip configuration, for the build only."""
    found = []
    certificates = os.environ.get(_CERTIFICATES, "")
    if certificates and Path(certificates).is_file():
        found += ["--secret", f"id=ca_bundle,src={certificates}"]
    configuration = os.environ.get("PIP_CONFIG_FILE", "")
    if configuration and Path(configuration).is_file():
        found += ["--secret", f"id=pip_conf,src={configuration}"]
    return found


@contextmanager
def _step(what: str) -> Iterator[None]:
    started = time.monotonic()
    print(f"{what} ...", flush=True)
    yield
    print(f"{what}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
