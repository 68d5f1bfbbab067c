"""The parts of target `fvp`: finding, settings, options, seats, and what failures mean."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import BenchError, ConfigError, PrerequisiteError, TargetError
from bench.plan.config import load_config
from targets.ethos_u55.accelerators import Accelerator
from targets.fvp.command import bench_options
from targets.fvp.diagnosis import diagnose
from targets.fvp.errors import InfrastructureError
from targets.fvp.find import NAMES, find_executable
from targets.fvp.launch import Ending, Limits, Outcome
from targets.fvp.process_slots import seat
from targets.virtual.parameters import parse_parameters
from tests.support.bench_runs import QUICK


def executable(directory: Path, name: str) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_it_is_found_by_setting_then_variable_then_path(tmp_path: Path) -> None:
    by_setting = executable(tmp_path / "a", "mine")
    by_variable = executable(tmp_path / "b", "theirs")
    environment = {"PATH": f"{tmp_path / 'c'}:{tmp_path / 'd'}"}
    with pytest.raises(PrerequisiteError, match=rf"none was found[\s\S]*{NAMES[0]}"):
        find_executable("", environment)
    for i, name in reversed(list(enumerate(NAMES))):
        # Whatever directory comes first: the ecosystem archive's name is preferred.
        found = executable(tmp_path / ("d" if i == 0 else "c"), name)
        assert find_executable("", environment) == found
    environment["BENCH_FVP"] = str(by_variable)
    assert find_executable("", environment) == by_variable
    assert find_executable(str(by_setting), environment) == by_setting
    assert find_executable(NAMES[1], environment) == tmp_path / "c" / NAMES[1]


def test_a_wrong_place_is_named(tmp_path: Path) -> None:
    by_setting = str(tmp_path / "x")
    with pytest.raises(PrerequisiteError, match=r"targets.fvp.executable names .*/x, which"):
        find_executable(by_setting, {})
    with pytest.raises(PrerequisiteError, match=r"\$BENCH_FVP names nowhere"):
        find_executable("", {"BENCH_FVP": "nowhere"})
    (tmp_path / "x").write_text("not executable", encoding="utf-8")
    with pytest.raises(PrerequisiteError, match="chmod"):
        find_executable(by_setting, {})


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('executabel = "x"', "did you mean 'executable'"),
        ("parameters = { 'ethosu.num_macs' = 64 }", "the bench sets this parameter itself"),
        ("parameters = { 'ethosu.extra_args' = '--fast' }", "never measure with it"),
        ("parameters = { 'a b' = 1 }", "not the name of a parameter"),
        ('executable = "x"\ncontainer = { image = "y" }', "exclude each other"),
        ('runner = "mlex"', "'bench', 'mlek' or 'executorch'"),
        ('axf = "a.axf"', "also set a runner"),
        ('runner = "executorch"', "set axf"),
        ("retries = -1", "greater than or equal to 0"),
        ("seats = 0", "greater than or equal to 1"),
    ],
)
def test_wrong_settings_name_file_and_key(table: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_text(f"{QUICK}\n[targets.fvp]\n{table}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"bench.toml: targets.fvp[\s\S]*{says}"):
        load_config(path)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    table = 'executable = "fvp/run"\nrunner = "mlek"\naxf = "mine.axf"'
    path.write_text(f"{QUICK}\n[targets.fvp]\n{table}\n", encoding="utf-8")
    settings = load_config(path).targets.fvp
    assert settings.executable == str(tmp_path / "fvp" / "run")
    assert settings.axf == str(tmp_path / "mine.axf")
    path.write_text(f"{QUICK}\n[targets.fvp]\nexecutable = 'FVP'\n", encoding="utf-8")
    assert load_config(path).targets.fvp.executable == "FVP", "a name on PATH stays one"


@pytest.mark.parametrize("accelerator", list(Accelerator))
def test_the_options_are_ones_the_platform_takes(accelerator: Accelerator) -> None:
    options = bench_options(accelerator, {"cpu0.semihosting-enable": False})
    values = parse_parameters(text for flag, text in pairwise(options) if flag == "-C")
    assert values["ethosu.num_macs"] == int(accelerator)
    assert values["mps3_board.uart0.out_file"] == "-"
    assert values["mps3_board.uart0.shutdown_on_eot"] is True
    assert values["mps3_board.uart0.shutdown_tag"] == "EXITTHESIM"
    assert not any(values[f"mps3_board.telnetterminal{i}.start_telnet"] for i in (0, 1, 2, 5))
    assert values["cpu0.semihosting-enable"] is False
    assert values["ethosu.extra_args"] == ""
    assert options[-1] == "--stat"


def outcome(
    text: str = "", *, ending: Ending = Ending.EXITED, status: int | None = 0, size: int = 0
) -> Outcome:
    return Outcome(ending, status, 1.0, size or len(text), text.encode(), b"")


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        (
            "FVP: error while loading shared libraries: libpython3.9.so.1.0: cannot open shared "
            "object file: No such file or directory",
            PrerequisiteError,
            "LD_LIBRARY_PATH=<installation>/fmtplib:<installation>/python/lib",
        ),
        (
            "FVP: error while loading shared libraries: libarmctmodel.so: cannot enable executable "
            "stack as shared object requires: Invalid argument",
            PrerequisiteError,
            "GLIBC_TUNABLES=glibc.rtld.execstack=2",
        ),
        (
            "FVP: error while loading shared libraries: libatomic.so.1: cannot open shared object",
            PrerequisiteError,
            "libatomic1",
        ),
        (
            "FVP: /lib64/libc.so.6: version `GLIBC_2.34' not found (required by FVP)",
            PrerequisiteError,
            "newer C or C++ library",
        ),
        ("Fatal: license error: Licence checkout failed", PrerequisiteError, "Keil MDK"),
        ("sh: 1: FVP: Exec format error", PrerequisiteError, "Linux64_armv8l"),
        ("ERROR: unknown parameter 'ethosu.macs'", ConfigError, "--list-params"),
        (
            "Info: Simulation is stopping. Reason: CPU time has been exceeded.\r\n",
            TargetError,
            "CPU time has been exceeded",
        ),
        ("something else\r\n", InfrastructureError, "it last said: something else"),
        ("", InfrastructureError, "it last said: nothing"),
    ],
)
def test_known_failures_have_a_sentence_and_a_cure(
    text: str, kind: type[BenchError], says: str
) -> None:
    error = diagnose(outcome(text, status=1), Limits(5), "no answer")
    assert type(error) is kind
    assert says in str(error)


def test_how_it_ended_is_told() -> None:
    crashed = diagnose(outcome(status=-11), Limits(5), "no answer")
    assert isinstance(crashed, InfrastructureError)
    assert "crashed (SIGSEGV): no answer" in crashed.what
    late = diagnose(outcome(ending=Ending.TIMED_OUT, status=None), Limits(5), "no answer")
    assert "stopped after 5 s: no answer" in late.what
    flood = diagnose(
        outcome(ending=Ending.FLOODED, status=None, size=70_000_000), Limits(5), "no answer"
    )
    assert "printed 70 MB" in flood.what


@given(data=st.binary(max_size=300), status=st.integers(-200, 300))
def test_any_output_can_be_diagnosed(data: bytes, status: int) -> None:
    whole = Outcome(Ending.EXITED, status, 1.0, len(data), data[:100], data[100:])
    error = diagnose(whole, Limits(1), "no answer")
    assert isinstance(error, BenchError)
    assert len(error.what) < 600


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_an_unusable_place_for_seats_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PrerequisiteError, match="XDG_RUNTIME_DIR"), seat(1, tmp_path / "x"):
        pass


def test_a_file_in_the_place_of_the_seats_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with (
        pytest.raises(PrerequisiteError, match="XDG_RUNTIME_DIR"),
        seat(1, tmp_path / "file" / "x"),
    ):
        pass
