"""The firmware boots on QEMU's `mps3-an547`, a second opinion on everything but the NPU."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from targets.firmware import ELF_NAME, FIRMWARE_DIRECTORY
from targets.jobs.answers import Answers, Collector
from targets.jobs.device_job import Image
from targets.jobs.frames import FrameParser
from targets.jobs.image import build_image
from targets.jobs.memory import JOB_LOAD_ADDRESS
from tests.support.fvp.firmware_runs import job

QEMU = shutil.which("qemu-system-arm")
pytestmark = pytest.mark.skipif(
    QEMU is None, reason="qemu-system-arm is not installed: the firmware was NOT booted on QEMU"
)


def boot(image: bytes, directory: Path) -> tuple[int, Answers]:
    """QEMU's exit status and what the firmware said."""
    (directory / "job.bin").write_bytes(image)
    loader = f"loader,file={directory / 'job.bin'},addr={JOB_LOAD_ADDRESS:#x},force-raw=on"
    done = subprocess.run(
        [
            *(str(QEMU), "-M", "mps3-an547", "-display", "none", "-monitor", "none"),
            *("-serial", "stdio", "-kernel", str(FIRMWARE_DIRECTORY / ELF_NAME), "-device", loader),
            *("-semihosting-config", "enable=on,target=native"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )
    parser, collector = FrameParser(), Collector()
    collector.add(parser.feed(done.stdout) + parser.finish())
    return done.returncode, collector.finish()


def test_it_finds_no_npu_says_so_and_ends(tmp_path: Path) -> None:
    status, answers = boot(build_image(Image((job(),), semihosting_exit=True)), tmp_path)
    assert answers.complete, answers
    assert answers.hello is not None
    assert answers.hello.secure
    assert [error.code for error in answers.errors] == ["no_npu"]
    assert status == 1
