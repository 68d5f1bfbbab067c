"""Vela's options: a complete command line, a telling fingerprint, traps refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.compiler import VelaOptions, beside_the_bench
from bench.core.errors import ConfigError
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode

BASE = {
    "core_clock": "500e6",
    "axi0_port": "Sram",
    "axi1_port": "OffChipFlash",
    "Sram_clock_scale": "1.0",
    "OffChipFlash_clock_scale": "0.125",
}
MODE = {"const_mem_area": "Axi1", "arena_mem_area": "Axi0", "cache_mem_area": "Axi0"}


def write_ini(path: Path, sections: dict[str, dict[str, str]]) -> Path:
    lines = []
    for name, keys in sections.items():
        lines += [f"[{name}]", *(f"{key}={value}" for key, value in keys.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def fingerprint(options: VelaOptions) -> dict[str, Any]:
    return options.fingerprint("5.2.0", options.config_sha256(beside_the_bench()))


def custom(
    path: Path, name: str = "Ethos_U55_Mine", mode: MemoryMode = MemoryMode.SHARED_SRAM
) -> VelaOptions:
    return VelaOptions(
        accelerator=Accelerator.U55_128, memory_mode=mode, system_config=name, config_file=path
    )


def bundled(**changes: object) -> VelaOptions:
    values = {"accelerator": Accelerator.U55_128, "memory_mode": MemoryMode.SHARED_SRAM} | changes
    return VelaOptions.model_validate(values)


def test_every_choice_stands_in_the_command_line() -> None:
    options = bundled(
        accelerator=Accelerator.U55_64,
        memory_mode=MemoryMode.SRAM_ONLY,
        system_config="Ethos_U55_Deep_Embedded",
        optimise="Size",
    )
    arguments = options.arguments("m.tflite", "out")
    given = dict(zip(arguments[1:-2:2], arguments[2:-2:2], strict=True))
    assert given == {
        "--accelerator-config": "ethos-u55-64",
        "--memory-mode": "Sram_Only",
        "--system-config": "Ethos_U55_Deep_Embedded",
        "--config": "Arm/vela.ini",
        "--optimise": "Size",
        "--output-format": "tflite",
        "--output-dir": "out",
    }
    assert arguments[0] == "m.tflite"
    assert arguments[-2:] == ("--verbose-performance", "--enable-debug-db")


def test_the_bundled_configurations_for_the_u55_are_accepted_and_no_others() -> None:
    for name in ("Ethos_U55_High_End_Embedded", "Ethos_U55_Deep_Embedded"):
        for mode in MemoryMode:
            bundled(system_config=name, memory_mode=mode).check(beside_the_bench())
    with pytest.raises(ConfigError, match="Ethos_U55_Deep_Embedded, Ethos_U55_High_End_Embedded"):
        bundled(system_config="Ethos_U55_Highend").check(beside_the_bench())
    with pytest.raises(ConfigError, match="must begin with Ethos_U55"):
        bundled(system_config="Ethos_U65_Embedded").check(beside_the_bench())


def test_a_custom_file_is_accepted_and_given_absolutely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "boards").mkdir()
    write_ini(
        tmp_path / "boards" / "mine.ini",
        {"System_Config.Ethos_U55_Mine": BASE, "Memory_Mode.Shared_Sram": MODE},
    )
    monkeypatch.chdir(tmp_path)
    # Vela would look for a relative path of two parts inside its own package.
    options = custom(Path("boards/mine.ini"))
    options.check(beside_the_bench())
    arguments = options.arguments("m", "o")
    assert arguments[arguments.index("--config") + 1] == str(tmp_path / "boards" / "mine.ini")
    assert str(tmp_path) not in " ".join(options.recorded_command())
    assert "mine.ini" in " ".join(options.recorded_command())


def test_inherited_keys_count(tmp_path: Path) -> None:
    path = write_ini(
        tmp_path / "a.ini",
        {
            "System_Config.Ethos_U55_Base": BASE,
            "System_Config.Ethos_U55_Mine": {"inherit": "System_Config.Ethos_U55_Base"},
            "Memory_Mode.Parent": MODE,
            "Memory_Mode.Shared_Sram": {"inherit": "Memory_Mode.Parent"},
        },
    )
    custom(path).check(beside_the_bench())


SOUND = {"System_Config.Ethos_U55_Mine": BASE, "Memory_Mode.Shared_Sram": MODE}
BAD = [
    # (what is changed, what the message must name)
    ({"System_Config.Ethos_U55_Mine": None}, ["[System_Config.Ethos_U55_Mine]", "there is none"]),
    ({"Memory_Mode.Shared_Sram": None}, ["[Memory_Mode.Shared_Sram]"]),
    ({"System_Config.Ethos_U55_Mine": {"core_clock": None}}, ["core_clock", "missing"]),
    ({"Memory_Mode.Shared_Sram": {"arena_mem_area": None}}, ["arena_mem_area", "missing"]),
    ({"System_Config.Ethos_U55_Mine": {"OffChipFlash_clock_scal": "1"}}, ["clock_scal:", "ignore"]),
    ({"System_Config.Ethos_U55_Mine": {"offchipflash_clock_scale": "1"}}, ["offchipflash_clock"]),
    ({"System_Config.Ethos_U55_Mine": {"core_clock": "500 MHz"}}, ["core_clock=500 MHz"]),
    ({"System_Config.Ethos_U55_Mine": {"core_clock": "5e8 ; fast"}}, ["core_clock=5e8 ; fast"]),
    ({"System_Config.Ethos_U55_Mine": {"axi1_port": "Flash"}}, ["axi1_port=Flash", "OffChipFlash"]),
    ({"Memory_Mode.Shared_Sram": {"const_mem_area": "Sram"}}, ["const_mem_area=Sram", "Axi1"]),
    ({"Memory_Mode.Shared_Sram": {"inherit": "Memory_Mode.No"}}, ["inherit=Memory_Mode.No"]),
    ({"Memory_Mode.Shared_Sram": {"inherit": "Memory_Mode.Shared_Sram"}}, ["circle"]),
]


@pytest.mark.parametrize(("change", "named"), BAD)
def test_what_vela_would_misread_is_refused_by_name(
    tmp_path: Path, change: dict[str, dict[str, str | None] | None], named: list[str]
) -> None:
    sections: dict[str, dict[str, str]] = {}
    for name, keys in SOUND.items():
        patch = change.get(name, {})
        if patch is not None:
            merged = {**keys, **patch}
            sections[name] = {key: value for key, value in merged.items() if value is not None}
    path = write_ini(tmp_path / "board.ini", sections)
    with pytest.raises(ConfigError) as caught:
        custom(path).check(beside_the_bench())
    for words in ["board.ini", *named]:
        assert words in str(caught.value)


def test_a_circle_of_two_is_found(tmp_path: Path) -> None:
    path = write_ini(
        tmp_path / "a.ini",
        {
            "System_Config.Ethos_U55_Mine": BASE | {"inherit": "System_Config.Ethos_U55_B"},
            "System_Config.Ethos_U55_B": {"inherit": "System_Config.Ethos_U55_Mine"},
            "Memory_Mode.Shared_Sram": MODE,
        },
    )
    with pytest.raises(ConfigError, match="circle"):
        custom(path).check(beside_the_bench())


def test_a_name_that_halves_the_flash_cycles_is_refused(tmp_path: Path) -> None:
    path = write_ini(
        tmp_path / "a.ini", {"System_Config.My_Board": BASE, "Memory_Mode.Shared_Sram": MODE}
    )
    with pytest.raises(ConfigError, match="begin with Ethos_U55"):
        custom(path, "My_Board").check(beside_the_bench())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.ini", b"\xff\xfe"),
        ("a.ini", b"no section=1\n"),
        ("a.ini", b"[System_Config.A]\nx: 1\n"),
        ("a.ini", b"[S]\n[S]\n"),
        ("a.cfg", b""),
    ],
)
def test_an_unreadable_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=name):
        custom(path).check(beside_the_bench())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    options = custom(tmp_path / "gone.ini")
    with pytest.raises(ConfigError, match=r"gone\.ini"):
        options.check(beside_the_bench())
    with pytest.raises(ConfigError, match=r"gone\.ini"):
        options.config_sha256(beside_the_bench())


def test_the_fingerprint_sees_content_not_place(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    first = fingerprint(custom(write_ini(tmp_path / "a.ini", SOUND)))
    moved = fingerprint(custom(write_ini(tmp_path / "elsewhere" / "b.ini", SOUND)))
    assert first == moved
    edited = fingerprint(custom(write_ini(tmp_path / "a.ini", SOUND | {"Memory_Mode.X": MODE})))
    assert edited != first
    assert str(tmp_path) not in json.dumps(first)


@pytest.mark.parametrize(
    "change",
    [
        {"accelerator": 256},
        {"memory_mode": "Sram_Only"},
        {"system_config": "Ethos_U55_Deep_Embedded"},
        {"optimise": "Size"},
    ],
)
def test_the_fingerprint_sees_every_option(change: dict[str, object]) -> None:
    assert fingerprint(bundled(**change)) != fingerprint(bundled())


def test_options_survive_json_and_refuse_unknown_keys() -> None:
    options = bundled(config_file=Path("x.ini"))
    assert VelaOptions.model_validate_json(options.model_dump_json()) == options
    with pytest.raises(ValueError, match="optimize"):
        bundled(optimize="Size")
