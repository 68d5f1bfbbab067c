"""The bench's logger: what reaches the terminal, what the run's directory."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from bench.core.logging import log_to_file, log_to_lines, log_to_terminal, logger

LOG = logger("targets.fvp.process_slots")


def say() -> None:
    LOG.info("waits for %s", "x\x1b[2J")
    LOG.warning("tried again:\nname\u202e")


def test_the_terminal_hears_warnings_and_with_verbose_everything(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with log_to_terminal(verbose=False):
        say()
    assert capsys.readouterr().err == "bench: tried again:\nname\\u202e\n"
    with log_to_terminal(verbose=True):
        say()
    assert capsys.readouterr().err.startswith("bench: waits for x\\x1b[2J\nbench: tried again:")
    with log_to_terminal(verbose=False):
        LOG.info("again quiet")
    assert capsys.readouterr().err == ""


def test_a_block_within_another_takes_nothing_from_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gw0.log"
    told: list[str] = []
    with log_to_file(path), log_to_lines(told.append), log_to_terminal(verbose=False):
        LOG.info("for the file")
        LOG.warning("for all")
    assert told == ["for all"]
    assert capsys.readouterr().err == "bench: for all\n"
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2


def test_a_file_holds_everything_with_time_level_and_module(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "gw0.log"
    with log_to_file(path):
        assert not path.parent.exists()
        LOG.info("Größe %d", 1)
    LOG.warning("not in the file")
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert line.endswith(" INFO bench.targets.fvp.process_slots: Größe 1")
    with log_to_file(path):
        LOG.info("appended")
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2


def test_who_has_no_terminal_hears_warnings_line_by_line() -> None:
    heard: list[str] = []
    with log_to_lines(heard.append):
        say()
    say()
    assert heard == ["tried again:\\nname\\u202e"]


def test_a_log_that_cannot_be_written_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with log_to_file(tmp_path / "file" / "gw0.log"):
        LOG.warning("lost")
    with log_to_file(Path("/dev/full")):
        LOG.warning("lost")
    assert "Traceback" not in capsys.readouterr().err


def test_a_wrong_call_of_the_logger_is_not_hidden(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", True)
    # pytest's own handlers would raise.
    monkeypatch.setattr(logging.getLogger("bench"), "propagate", False)
    with log_to_file(tmp_path / "gw0.log"):
        LOG.warning("%d", "no number")
    assert "TypeError" in capsys.readouterr().err
