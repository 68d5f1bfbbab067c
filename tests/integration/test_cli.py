"""The `bench` command, run as users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.cache import ArtefactCache, CacheKey
from bench.compiler import VelaOptions, compile_model
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from tests.support.bench_runs import ROOT
from tests.support.models.tflite_factory import mlp


def bench(*arguments: str, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"BENCH_CACHE": str(cache)} if cache else {})
    return subprocess.run(
        [sys.executable, "-m", "bench.cli", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    store = ArtefactCache(tmp_path / "cache")

    def build(directory: Path) -> None:
        (directory / "file").write_bytes(b"x" * 5000)

    store.get_or_build(CacheKey("compiled", {"n": 1}), build)
    store.get_or_build(CacheKey("compiled", {"n": 2}), build)
    return store.root


@pytest.mark.parametrize(
    "command", [[], ["cache"], ["zoo"], ["report", "--help"], ["cache", "gc", "--help"]]
)
def test_help_teaches(command: list[str]) -> None:
    result = bench(*command)
    assert "Usage" in result.stdout + result.stderr


def test_cells_lists_the_grid() -> None:
    lines = bench("cells").stdout.splitlines()
    assert len(lines) == 64
    assert lines[0].startswith("mnist_fc-base-u55_32-shared_sram-")


def test_a_wrong_configuration_is_one_message_and_status_2(tmp_path: Path) -> None:
    config = tmp_path / "bench.toml"
    config.write_text("[gird]\n", encoding="utf-8")
    result = bench("cells", "--config", str(config))
    assert result.returncode == 2
    assert "unknown key 'gird'" in result.stderr
    assert "Traceback" not in result.stderr


def test_cache_info_counts(cache: Path) -> None:
    result = bench("cache", "info", cache=cache)
    assert result.returncode == 0
    row = next(line for line in result.stdout.splitlines() if "compiled" in line)
    assert " 2 " in row


def test_cache_verify_finds_a_flipped_byte(cache: Path) -> None:
    assert bench("cache", "verify", cache=cache).returncode == 0
    file = next(cache.rglob("files/file"))
    file.write_bytes(b"y" + file.read_bytes()[1:])
    result = bench("cache", "verify", cache=cache)
    assert result.returncode == 1
    assert file.parent.parent.name in result.stdout


def test_cache_verify_changes_nothing_and_knows_harm_from_harmlessness(cache: Path) -> None:
    """What a killed build left is no fault, and what was moved aside is evidence."""
    digest = "ab" * 32
    for place in ("tmp", "quarantine"):
        (cache / "v2" / place / f"{digest}.{'0' * 16}").mkdir(parents=True)
    result = bench("cache", "verify", cache=cache)
    assert result.returncode == 0
    assert result.stdout.count(digest) == 2
    assert "clean" not in result.stdout
    assert len(list(cache.rglob(f"{digest}.*"))) == 2 + 1  # and the lock that told them dead
    assert "2 leftovers or entries in quarantine" in bench("cache", "gc", cache=cache).stdout
    assert "clean" in bench("cache", "verify", cache=cache).stdout


@pytest.mark.parametrize("verb", ["verify", "info", "gc"])
def test_where_no_cache_is_the_command_says_so(tmp_path: Path, verb: str) -> None:
    """A misspelt path must not pass for a clean cache."""
    result = bench("cache", verb, "--cache", str(tmp_path / "misspelt"))
    assert str(tmp_path / "misspelt") in result.stdout + result.stderr
    assert result.returncode == (0 if verb == "gc" else 2)  # nothing is what gc wants
    assert not (tmp_path / "misspelt").exists()


def test_cache_gc_removes_damaged_entries_as_the_guide_says(cache: Path) -> None:
    file = next(cache.rglob("files/file"))
    file.write_bytes(b"y" + file.read_bytes()[1:])
    told = bench("cache", "gc", "--dry-run", cache=cache).stdout
    assert told.startswith("would remove 1 entries, 5 KiB (1 damaged)")
    assert file.exists()
    result = bench("cache", "gc", cache=cache)
    assert result.stdout == told.replace("would remove", "removed")
    assert not file.exists()
    assert bench("cache", "verify", cache=cache).returncode == 0


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--max-age-days", value) for value in ("nan", "inf", "1e999", "1e12")),
        *(("--max-mib", value) for value in ("nan", "inf", "1e999")),
    ],
)
def test_cache_gc_takes_no_bound_that_is_none(cache: Path, option: str, value: str) -> None:
    result = bench("cache", "gc", option, value, cache=cache)
    assert result.returncode == 2
    assert "Invalid value" in result.stderr
    assert option in result.stderr
    assert "Traceback" not in result.stderr


def test_cache_gc_dry_run_removes_nothing(cache: Path) -> None:
    before = len(list(cache.rglob("files/file")))
    result = bench("cache", "gc", "--max-mib", "0", "--dry-run", cache=cache)
    assert result.returncode == 0
    assert "would remove" in result.stdout
    assert len(list(cache.rglob("files/file"))) == before


def test_zoo_list_names_source_and_hash() -> None:
    text = bench("zoo", "list").stdout
    assert text.count("sha256 ") == 10
    assert text.count("https://") == 10


def test_zoo_fetch_of_an_unknown_model_names_the_known_ones(tmp_path: Path) -> None:
    result = bench("zoo", "fetch", str(tmp_path / "zoo"), "--model", "vww_69_int8")
    assert result.returncode == 2
    assert "unknown model 'vww_69_int8'; did you mean 'vww_96_int8'" in result.stderr
    assert not (tmp_path / "zoo").exists()


def test_a_directory_that_cannot_be_made_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = bench("zoo", "fetch", str(tmp_path / "file" / "zoo"))
    assert result.returncode == 2
    assert str(tmp_path / "file") in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("option", ["--max-mib", "--max-age-days"])
def test_cache_gc_takes_no_negative_bound(cache: Path, option: str) -> None:
    assert bench("cache", "gc", option, "-1", cache=cache).returncode == 2
    assert len(list(cache.rglob("files/file"))) == 2


def test_disasm_prints_every_layer(tmp_path: Path) -> None:
    model = tmp_path / "m.tflite"
    model.write_bytes(mlp([np.ones((16, 64), np.int8), np.ones((4, 16), np.int8)]))
    options = VelaOptions(accelerator=Accelerator.U55_64, memory_mode=MemoryMode.SHARED_SRAM)
    compiled = compile_model(model, options, tmp_path)
    result = bench("disasm", str(compiled.path(tmp_path)))
    assert result.returncode == 0, result.stderr
    assert result.stdout.upper().count("CONV") >= 2
    wrong = bench("disasm", __file__)
    assert wrong.returncode == 2
    assert "not a TFLite model" in wrong.stderr


def test_report_of_no_run_says_so(tmp_path: Path) -> None:
    result = bench("report", str(tmp_path / "nowhere"))
    assert result.returncode == 2
    assert "nowhere/run.json" in result.stderr
    assert "Traceback" not in result.stderr


def test_schema_is_json() -> None:
    document = json.loads(bench("schema").stdout)
    assert document["title"] == "Record"
    assert "verdicts" in document["properties"]
