"""`bench doctor` on machines that have what a run needs, and on machines that do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from targets.virtual.board.faults import Fault, FaultKind
from tests.support.bench_runs import ROOT
from tests.support.boards.virtual_board import Board, virtual_board
from tests.support.boards.volumes import tree

GRID = '[grid]\nworkloads = ["x"]\ntargets = ["sim"]\n[workloads]\nx = "x.tflite"\n'


def doctor(config: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", "doctor", f"--config={config}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_only_what_was_asked_for_is_missed(tmp_path: Path) -> None:
    config = tmp_path / "bench.toml"
    config.write_text(GRID, encoding="utf-8")
    status, text = doctor(config)
    assert status == 0, text
    assert "target sim" in text
    assert "mps3" not in text
    config.write_text(
        GRID + '[targets.mps3]\nconsole = "/dev/no"\nuart = "/x"\nvolume = "/y"\n', encoding="utf-8"
    )
    status, text = doctor(config, "--target", "mps3")
    assert status == 1
    assert "MISSING board: there is no serial port /dev/no" in text
    assert "-> switch the board on, or correct console and uart in [targets.mps3]" in text


def test_each_version_of_vela_is_ready_or_what_to_do_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    config = tmp_path / "bench.toml"
    config.write_text(
        GRID.replace("[workloads]", 'vela = ["installed", "5.0.0"]\n[workloads]'), "utf-8"
    )
    status, text = doctor(config)
    assert status == 0, text
    assert "note    vela 5.0.0: not installed yet: the first run installs it" in text
    # Others are of no interest until they are there.
    assert "5.1.0" not in text
    assert not (tmp_path / "cache").exists(), "looking is not installing"
    config.write_text(GRID.replace("[workloads]", 'vela = ["9.9.9"]\n[workloads]'), "utf-8")
    status, text = doctor(config)
    assert status == 1
    assert "MISSING vela 9.9.9: there is no lock file for Vela 9.9.9" in text
    assert '"9.9.9" = "vela-9.9.9.txt"' in text
    # What no cell is compiled with need not be there.
    assert "ok      vela:" not in text


def configured(board: Board, directory: Path, **changes: object) -> Path:
    config = directory / "bench.toml"
    config.write_text(GRID + board.table(**changes), encoding="utf-8")
    return config


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> object:
    with virtual_board(tmp_path_factory.mktemp("board") / "b") as made:
        yield made


def test_a_sound_board_is_found_sound_and_its_macs_are_read(board: Board, tmp_path: Path) -> None:
    before = tree(board.card)
    status, text = doctor(configured(board, tmp_path), "--target=mps3", "--boot")
    assert status == 0, text
    for what in ("MCC console", "UART0", "SD card", "bitfile", "room", "lease", "quarantine"):
        assert f"ok      {what}" in text, text
    assert "ok      MACs/cc: 128, read from the NPU" in text
    assert tree(board.card) == before


def test_what_is_wrong_with_a_board_is_named(board: Board, tmp_path: Path) -> None:
    board.fail(Fault(kind=FaultKind.MACS, at=256))
    status, text = doctor(configured(board, tmp_path), "--target=mps3", "--boot")
    assert status == 1
    assert "MISSING MACs/cc: the board's NPU has 256 MACs/cc; targets.mps3.macs says 128" in text
    bitfile = board.card / "MB/HBI0309C/AN552/an552_v1.bit"
    content = bitfile.read_bytes()
    bitfile.unlink()
    status, text = doctor(configured(board, tmp_path, power_command=()), "--target=mps3")
    assert status == 1
    assert "MISSING bitfile: MB/HBI0309C/AN552 has no .bit file" in text
    assert "note    power: nothing can switch the board" in text
    assert "note    MACs/cc: 128 according to the settings" in text
    bitfile.write_bytes(content)


def test_each_board_of_a_pool_is_examined(board: Board, tmp_path: Path) -> None:
    config = tmp_path / "bench.toml"
    absent = 'name = "away"\nmacs = 256\nconsole = "/dev/no"\nuart = "/x"\nvolume = "/y"'
    config.write_text(GRID + board.pool_table(board.pool_member("desk"), absent), encoding="utf-8")
    status, text = doctor(config, "--target=mps3")
    assert status == 1
    assert "ok      desk: MCC console: gives its prompt" in text
    assert "note    desk: MACs/cc: 128 according to the settings" in text
    assert "MISSING away: board: there is no serial port /dev/no" in text
    assert text.endswith("1 missing\n")
