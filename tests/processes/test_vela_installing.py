"""Installing another Vela where it cannot be: one error that says why and what to do.

Nothing here needs a package index; `tests/integration/test_velas.py` installs a real version.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cache import ArtefactCache
from bench.compiler import LockFile, find_lock, install_vela
from bench.core.errors import PrerequisiteError
from bench.core.processes import Bounds
from bench.measuring.compilation import VelaInstallations
from bench.measuring.progress import ignore


@pytest.fixture(autouse=True)
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip looks nowhere, whatever this machine's settings are."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")


def test_without_an_index_the_error_names_version_and_cure_and_nothing_is_kept(
    tmp_path: Path,
) -> None:
    cache = ArtefactCache(tmp_path / "cache")
    installations = VelaInstallations(cache, {}, ignore)
    with pytest.raises(PrerequisiteError) as caught:
        installations.obtain("5.0.0")
    assert caught.value.what.startswith("Vela 5.0.0 cannot be installed: pip failed (exit code 1):")
    assert "No matching distribution found for" in caught.value.what
    assert "\n" not in caught.value.what
    assert "pip config list" in caught.value.cure
    assert "leave 5.0.0 out of grid.vela" in caught.value.cure
    assert installations.find("5.0.0") is None
    assert cache.verify() == []
    assert cache.stats().total.entries == 0


def wheel(directory: Path, files: dict[str, str]) -> LockFile:
    """A wheel that calls itself Vela 5.0.0, where pip finds it, and its lock file."""
    info = "ethos_u_vela-5.0.0.dist-info"
    metadata = "Metadata-Version: 2.1\nName: ethos-u-vela\nVersion: 5.0.0\n"
    contents = {
        **files,
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*contents, f"{info}/RECORD"])
    path = directory / "ethos_u_vela-5.0.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**contents, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    content = f"ethos-u-vela==5.0.0 --hash=sha256:{digest}\n".encode()
    lock = directory / "vela-5.0.0.txt"
    lock.write_bytes(content)
    return LockFile("5.0.0", lock, content)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which pip finds wheels."""
    directory = tmp_path / "shelf"
    directory.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))
    return directory


def test_a_package_without_a_hash_is_never_installed(shelf: Path, tmp_path: Path) -> None:
    lock = wheel(shelf, {"ethosu/vela/__init__.py": ""})
    unhashed = replace(lock, content=b"ethos-u-vela==5.0.0\n")
    with pytest.raises(PrerequisiteError, match="Hashes are required in --require-hashes mode"):
        install_vela(unhashed, tmp_path / "target")
    other = replace(lock, content=lock.content[:-9] + b"00000000\n")
    with pytest.raises(PrerequisiteError, match="DO NOT MATCH THE HASHES"):
        install_vela(other, tmp_path / "target")
    assert not list(tmp_path.glob("target/*"))


@pytest.mark.parametrize(
    ("main", "told"),
    [
        ("print('5.0.0')", ""),
        ("print('4.9.0')", "asked for its version, it said: 4.9.0"),
        ("raise ImportError('no such symbol')", "it said: ImportError: no such symbol"),
        ("import yaml, pydantic", "No module named"),
        ("print('5.0.0'); raise SystemExit(3)", "it said: 5.0.0"),
    ],
)
def test_what_was_installed_must_start_and_be_the_version(
    main: str, told: str, shelf: Path, tmp_path: Path
) -> None:
    files = {
        "ethosu/vela/__main__.py": main,
        "ethosu/config_files/Arm/vela.ini": "[System_Config.Ethos_U55_A]\n",
    }
    lock = wheel(shelf, files)
    installations = VelaInstallations(
        ArtefactCache(tmp_path / "cache"), {"5.0.0": lock.path}, ignore
    )
    if not told:
        made = installations.obtain("5.0.0")
        assert made == installations.find("5.0.0")
        assert made.bundled_config().is_file()
        return
    with pytest.raises(
        PrerequisiteError, match=r"Vela 5\.0\.0 was installed and does not run"
    ) as e:
        installations.obtain("5.0.0")
    assert told in e.value.what
    assert "leave it out of grid.vela" in e.value.cure
    assert installations.find("5.0.0") is None


def test_an_installation_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match=r"pip took longer than 0\.01 s"):
        install_vela(find_lock("5.0.0", {}), tmp_path / "target", Bounds(seconds=0.01))


def test_a_python_without_pip_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A Python of the same kind that sees no packages, as one that `uv venv` makes.
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n', encoding="utf-8")
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(PrerequisiteError, match="this Python has no pip") as caught:
        install_vela(find_lock("5.0.0", {}), tmp_path / "target")
    assert "ensurepip" in caught.value.cure
