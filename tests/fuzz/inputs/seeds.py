"""What is mutated: configurations, models, and the cache and the directories of real benches."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from targets.timing_profiles import PROFILES
from tests.fuzz.inputs.benches import BENCH_TOML, run_bench
from tests.fuzz.inputs.configurations import RICH
from tests.fuzz.seeds import Seed, quantised_models
from tests.support.bench_runs import DEFAULT_CONFIG, QUICK
from tests.support.models.vela_files import small_mlp

__all__ = ["Seeds", "build_seeds", "load_seeds"]

#: The benches whose directories are mutated: on a target that measures, and on one beside it that
#: nobody can have.
_RUNS = {"measured": '["sim"]', "partly": '["vela", "mps3"]'}


@dataclass(frozen=True)
class Seeds:
    """Everything intact."""

    #: Texts of configurations.
    configurations: tuple[str, ...]
    #: Quantised models, not compiled.
    models: tuple[Seed, ...]
    #: A cache's root.
    cache: Path
    #: Directories of finished runs.
    runs: tuple[Path, ...]


def build_seeds(directory: Path) -> Seeds:
    """Make all seeds in `directory`, with one bench for each of the runs (some seconds)."""
    models = directory / "models"
    models.mkdir(parents=True)
    for name, data in {"mlp": small_mlp(softmax=True), **quantised_models()}.items():
        (models / f"{name}.tflite").write_bytes(data)
    for name, targets in _RUNS.items():
        _run(directory / name, targets)
    return load_seeds(directory)


def _run(place: Path, targets: str) -> None:
    place.mkdir()
    (place / "model.tflite").write_bytes(small_mlp())
    text = BENCH_TOML.replace('["sim"]', targets)
    (place / "bench.toml").write_text(text, encoding="utf-8")
    status, output = run_bench(place, "0")
    # One limit is broken on purpose.
    if status != 1 or not (place / "results" / "latest" / "junit.xml").is_file():
        raise RuntimeError(f"the bench in {place} ended with status {status}:\n{output}")


def load_seeds(directory: Path) -> Seeds:
    """What `build_seeds` made in `directory`."""
    profile = PROFILES["u55_high_end"].model_dump()
    lines = [
        f"{side} = {{ {', '.join(f'{key} = {value}' for key, value in settings.items())} }}\n"
        for side, settings in profile.items()
    ]
    digest = hashlib.sha256(b"").hexdigest()
    models = sorted((directory / "models").iterdir())
    return Seeds(
        (
            DEFAULT_CONFIG.read_text(encoding="utf-8"),
            *(QUICK, BENCH_TOML, RICH.format(timing="".join(lines), digest=digest)),
        ),
        tuple(Seed(path.stem, path.suffix, path.read_bytes()) for path in models),
        directory / "measured" / "cache",
        tuple((directory / name / "results" / "latest").resolve() for name in _RUNS),
    )
