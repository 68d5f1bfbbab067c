"""The shipped ELF is what the sources give, on any machine, and small."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from bench.core.errors import BuildError, PrerequisiteError
from targets import firmware
from targets.firmware import FIRMWARE_DIRECTORY, firmware_elf, firmware_sha256
from targets.firmware.build import Compiler, build
from targets.firmware.elf import read_elf
from targets.jobs.device_job import Image
from targets.jobs.image import build_image
from tests.support.fvp.firmware_runs import AddOne, job, run_firmware

TEXT_AND_DATA_MAX = 16 << 10


def compile_or_skip(output: Path, compiler: Compiler, sources: Path = FIRMWARE_DIRECTORY) -> str:
    try:
        build(output, compiler, sources)
    except PrerequisiteError as error:
        pytest.skip(f"{error}: the firmware was NOT built with {compiler.value}")
    return hashlib.sha256(output.read_bytes()).hexdigest()


def test_the_shipped_firmware_is_what_the_sources_give_anywhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "another" / "directory"
    shutil.copytree(FIRMWARE_DIRECTORY, elsewhere)
    assert compile_or_skip(tmp_path / "one.elf", Compiler.ZIG, elsewhere) == firmware_sha256(), (
        "targets/firmware/bench_firmware.elf is not what its sources give: run make firmware"
    )


def test_the_shipped_firmware_is_small_and_in_the_itcm() -> None:
    segments = read_elf(firmware_elf(), "firmware").segments
    assert sum(len(segment.data) for segment in segments) <= TEXT_AND_DATA_MAX
    assert all(0 <= segment.address < 512 << 10 for segment in segments)


def test_gcc_builds_it_too_and_it_runs(tmp_path: Path) -> None:
    elf = tmp_path / "gcc.elf"
    compile_or_skip(elf, Compiler.GCC)
    assert sum(len(s.data) for s in read_elf(elf.read_bytes(), "gcc").segments) <= TEXT_AND_DATA_MAX
    ran = run_firmware(build_image(Image((job(events=(35, 17, 32, 48, 64)),))), AddOne(), elf=elf)
    assert ran.answers.job(0).outputs[0].data == bytes(range(1, 17))


def test_a_compiler_error_is_shown(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(FIRMWARE_DIRECTORY, broken)
    (broken / "uart.c").write_text("#error deliberately broken\n", encoding="utf-8")
    try:
        with pytest.raises(BuildError, match="deliberately broken"):
            build(tmp_path / "x.elf", Compiler.ZIG, broken)
    except PrerequisiteError as error:
        pytest.skip(f"{error}: the message of a compiler is NOT checked")


def test_a_firmware_that_was_changed_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "firmware"
    shutil.copytree(FIRMWARE_DIRECTORY, copy)
    monkeypatch.setattr(firmware, "FIRMWARE_DIRECTORY", copy)
    assert firmware_elf() == (copy / "bench_firmware.elf").read_bytes()
    with (copy / "bench_firmware.elf").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(PrerequisiteError, match="is not the firmware with sha256"):
        firmware_elf()
    (copy / "bench_firmware.elf.sha256").unlink()
    with pytest.raises(PrerequisiteError, match="cannot be read"):
        firmware_elf()
