"""Whatever file the configuration names, a run reads the copy that it kept when it began."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cache import ArtefactCache
from bench.core.errors import ModelError
from bench.measuring.inputs import keep_inputs, sha256_of
from bench.plan.config import BenchConfig, load_config

#: Every file that a configuration can name, and a run hands to a worker.
NAMED = ("m.tflite", "m.npz", "metrics.py", "mine.ini", "mine.txt", "frozen.tflite")
CONFIG = """
[vela]
config_file = "mine.ini"
[vela.locks]
"4.2.0" = "mine.txt"
[workloads.file]
model = "m.tflite"
dataset = "m.npz"
metric = "metrics.py:f1"
[workloads.net]
recipe = "mnist_fc"
[workloads.net.variants]
base = {{ method = "train", epochs = 1 }}
[workloads.net.frozen]
base = {{ model = "frozen.tflite", sha256 = "{sha256}", recipe = "" }}
"""


def content(name: str) -> bytes:
    return f"what {name} held when the run began".encode()


@pytest.fixture
def config(tmp_path: Path) -> BenchConfig:
    for name in NAMED:
        (tmp_path / name).write_bytes(content(name))
    sha256 = hashlib.sha256(content("frozen.tflite")).hexdigest()
    (tmp_path / "bench.toml").write_text(CONFIG.format(sha256=sha256), encoding="utf-8")
    return load_config(tmp_path / "bench.toml")


def named(config: BenchConfig) -> list[Path]:
    """The files that workloads and compiler are made of."""
    return list(_paths(config.model_dump(include={"workloads", "vela"})))


def _paths(value: object) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _paths(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _paths(inner)


def test_no_file_of_the_users_is_read_again(config: BenchConfig, tmp_path: Path) -> None:
    digests = {path: sha256_of(path) for path in named(config)}
    kept = keep_inputs(config, digests, ArtefactCache(tmp_path / "cache"))
    for path in digests:
        path.write_bytes(b"another")
    copies = named(kept)
    assert sorted(copy.name for copy in copies) == sorted(NAMED)
    for copy in copies:
        assert tmp_path / "cache" in copy.parents
        assert copy.read_bytes() == content(copy.name)


@pytest.mark.parametrize("name", NAMED)
def test_a_file_that_is_not_what_was_checked_is_kept_nowhere(
    config: BenchConfig, tmp_path: Path, name: str
) -> None:
    digests = {path: sha256_of(path) for path in named(config)}
    (tmp_path / name).write_bytes(b"another")
    cache = ArtefactCache(tmp_path / "cache")
    with pytest.raises(ModelError, match=f"{name}: was changed while the bench was starting"):
        keep_inputs(config, digests, cache)
    assert not any(path.name == name for path in (tmp_path / "cache").rglob("*"))
