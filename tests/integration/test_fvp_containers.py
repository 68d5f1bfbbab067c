"""FVP jobs in containers, on a real engine: confined, limited, and never left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.core.errors import PrerequisiteError, TargetError
from targets.fvp.containers.launcher import ContainerLauncher, ContainerSettings
from targets.fvp.containers.life import LABEL, Owner
from targets.fvp.launch import Ending, Launch, Limits, Outcome
from tests.images.engine import RunningEngine
from tests.support.bench_runs import ROOT
from tests.support.docker_engine import SHELL_IMAGE, docker_engine, shell_archive, shell_image

__all__ = ["docker_engine", "shell_image"]

PATIENCE = 20.0

#: A bench in a process of its own that runs a container for as long as it lives.
BENCH = """
import sys
from pathlib import Path
from targets.fvp.containers.launcher import ContainerLauncher, ContainerSettings
from targets.fvp.launch import Launch, Limits
directory = Path(sys.argv[2])
launch = Launch(("-c", "echo up; sleep 1000"), directory, directory / "log", Limits(900))
ContainerLauncher(ContainerSettings(sys.argv[1], executable="/bin/sh")).run(
    launch, lambda data: print(data.decode(), flush=True)
)
"""


def launcher(image: str, memory: str = "1g") -> ContainerLauncher:
    return ContainerLauncher(ContainerSettings(image, executable="/bin/sh", memory=memory))


def run(
    chosen: ContainerLauncher, directory: Path, script: str, limits: Limits | None = None
) -> tuple[Outcome, str]:
    """Run a shell script in a container; its outcome and its log."""
    work = directory / "work"
    work.mkdir(exist_ok=True)
    log = directory / "log"
    launch = Launch(("-c", script), work, log, limits or Limits(60))
    outcome = chosen.run(launch, lambda data: False)
    return outcome, log.read_text(encoding="utf-8")


def containers(engine: RunningEngine) -> str:
    return engine.docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}")


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.1)
    return holds()


def test_it_is_confined(shell_image: str, docker_engine: RunningEngine, tmp_path: Path) -> None:
    script = """
    id -u; cat /proc/net/dev | head -20
    (: > /escaped) 2>/dev/null && echo ROOT-WRITABLE
    cat /proc/self/status | while read key value; do
      case $key in CapEff:|CapBnd:|NoNewPrivs:) echo $key $value;; esac; done
    cat input.txt; echo made > output.txt; : > /tmp/scratch && echo scratch
    """
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "input.txt").write_text("given\n", encoding="utf-8")
    outcome, said = run(launcher(shell_image), tmp_path, script)
    assert (outcome.ending, outcome.status) == (Ending.EXITED, 0)
    assert said.split()[0] != "0"
    assert "eth0" not in said
    assert "lo:" in said
    assert "ROOT-WRITABLE" not in said
    assert "CapEff: 0000000000000000" in said
    assert "CapBnd: 0000000000000000" in said
    assert "NoNewPrivs: 1" in said
    assert "given" in said
    assert "scratch" in said
    assert (tmp_path / "work" / "output.txt").read_text(encoding="utf-8") == "made\n"
    (tmp_path / "work" / "output.txt").unlink()
    assert containers(docker_engine) == ""


def test_arguments_and_awkward_directories_arrive_as_they_are(
    shell_image: str, tmp_path: Path
) -> None:
    odd = tmp_path / 'a,b "c" d:e=f'
    odd.mkdir()
    argument = "two  words; $HOME 'quoted' \"twice\" --rm"
    launch = Launch(("-c", 'echo "$0" > said', argument), odd, tmp_path / "log", Limits(60))
    outcome = launcher(shell_image).run(launch, lambda data: False)
    assert outcome.status == 0, outcome.excerpt
    assert (odd / "said").read_text(encoding="utf-8") == argument + "\n"


@pytest.mark.parametrize(("script", "status"), [("exit 3", 3), ("kill -SEGV $$", -11)])
def test_the_status_is_the_programs(
    shell_image: str, tmp_path: Path, script: str, status: int
) -> None:
    # The shell is the container's first process, which the kernel spares its own signals.
    if status < 0:
        script = f"sh -c '{script}'; exit $?"
    outcome, _ = run(launcher(shell_image), tmp_path, f"echo out; echo err >&2; {script}")
    assert (outcome.ending, outcome.status) == (Ending.EXITED, status)
    # The engine hands the two streams on in no order.
    assert {"err", "out"} <= set(outcome.excerpt.split())


def test_a_hang_is_ended_and_leaves_nothing(
    shell_image: str, docker_engine: RunningEngine, tmp_path: Path
) -> None:
    started = time.monotonic()
    outcome, said = run(
        launcher(shell_image), tmp_path, "trap '' TERM INT; echo up; sleep 1000", Limits(2)
    )
    assert outcome.ending is Ending.TIMED_OUT
    assert outcome.status is None
    assert said.strip() == "up"
    assert time.monotonic() - started < 2 + PATIENCE
    assert containers(docker_engine) == ""


def test_a_flood_is_stopped(shell_image: str, docker_engine: RunningEngine, tmp_path: Path) -> None:
    limits = Limits(60, output_bytes=8 << 20, log_bytes=1 << 20)
    outcome, _ = run(launcher(shell_image), tmp_path, "cat /dev/zero", limits)
    assert outcome.ending is Ending.FLOODED
    assert (tmp_path / "log").stat().st_size < 2 << 20
    assert containers(docker_engine) == ""


def test_too_much_memory_is_named(shell_image: str, tmp_path: Path) -> None:
    script = "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"
    with pytest.raises(TargetError, match=r"16m of memory[\s\S]*raise `memory`"):
        run(launcher(shell_image, memory="16m"), tmp_path, script)


def test_an_image_that_is_not_there(docker_engine: RunningEngine) -> None:
    with pytest.raises(PrerequisiteError, match="image does not exist here") as caught:
        launcher("ethos-u55-bench-no-such-image").identity()
    assert "docs/containers.md" in caught.value.cure


def test_an_executable_that_is_not_there(
    shell_image: str, docker_engine: RunningEngine, tmp_path: Path
) -> None:
    absent = ContainerLauncher(ContainerSettings(shell_image))
    launch = Launch(("--version",), tmp_path, tmp_path / "log", Limits(60))
    with pytest.raises(PrerequisiteError, match="image has no such executable"):
        absent.run(launch, lambda data: False)
    assert containers(docker_engine) == ""


def test_the_identity_is_the_images(
    shell_image: str, docker_engine: RunningEngine, tmp_path: Path
) -> None:
    identity = launcher(shell_image).identity()
    assert identity["image"] == docker_engine.docker("inspect", "--format={{.Id}}", shell_image)


def test_a_consumer_that_fails_ends_the_run(
    shell_image: str, docker_engine: RunningEngine, tmp_path: Path
) -> None:
    def consume(data: bytes) -> bool:
        raise ValueError("enough")

    launch = Launch(("-c", "echo up; sleep 1000"), tmp_path, tmp_path / "log", Limits(60))
    with pytest.raises(ValueError, match="enough"):
        launcher(shell_image).run(launch, consume)
    assert containers(docker_engine) == ""


def test_several_at_once_do_not_meet(shell_image: str, tmp_path: Path) -> None:
    said: dict[int, str] = {}

    def one(number: int) -> None:
        directory = tmp_path / str(number)
        directory.mkdir()
        said[number] = run(launcher(shell_image), directory, f"sleep 0.3; echo {number}; ls")[1]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {number: f"{number}\n" for number in range(4)}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_container_does_not_outlive_the_bench(
    shell_image: str, docker_engine: RunningEngine, tmp_path: Path, how: signal.Signals
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BENCH, shell_image, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as bench:
        assert bench.stdout is not None
        assert bench.stdout.readline() == b"up\n"
        assert containers(docker_engine) != ""
        bench.send_signal(how)
        bench.wait(PATIENCE)
    assert eventually(lambda: containers(docker_engine) == "")
    assert (tmp_path / "log").read_text(encoding="utf-8") == "up\n"


def test_what_nobody_could_remove_is_swept(
    shell_image: str, docker_engine: RunningEngine, tmp_path: Path
) -> None:
    with subprocess.Popen(["sleep", "0"]) as process:
        pid = process.pid
    mine = Owner.current()
    gone = Owner(pid, 1, mine.world)
    elsewhere = Owner(pid, 1, "another-machine.1")
    made = {
        owner: docker_engine.docker(
            "run", "--detach", f"--label={LABEL}={owner}", "--network=none",
            "--entrypoint=/bin/sleep", shell_image, "1000",
        )
        for owner in (mine, gone, elsewhere)
    }  # fmt: skip
    try:
        # The sweep is part of a bench's first look at the engine, so it takes another process.
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from targets.fvp.containers.launcher import *; "
                "ContainerLauncher(ContainerSettings(sys.argv[1])).identity()",
                shell_image,
            ],
            cwd=ROOT,
            check=True,
            env=os.environ,
        )
        left = containers(docker_engine).split()
        assert set(left) == {made[mine][:12], made[elsewhere][:12]}
    finally:
        for name in made.values():
            subprocess.run(["docker", "rm", "--force", name], capture_output=True)


def test_podman_takes_the_same_words(tmp_path: Path) -> None:
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed: podman NOT tested")
    subprocess.run(
        ["podman", "import", "-", SHELL_IMAGE],
        input=shell_archive(),
        capture_output=True,
        check=True,
    )
    settings = ContainerSettings(SHELL_IMAGE, engine="podman", executable="/bin/sh", memory="1g")
    try:
        outcome, said = run(ContainerLauncher(settings), tmp_path, "id -u; echo x > made; exit 3")
        assert (outcome.ending, outcome.status) == (Ending.EXITED, 3)
        assert said.strip() != "0"
        assert (tmp_path / "work" / "made").exists()
        late, _ = run(ContainerLauncher(settings), tmp_path, "sleep 1000", Limits(2))
        assert late.ending is Ending.TIMED_OUT
        listed = ["podman", "ps", "--all", "--quiet", "--filter", f"label={LABEL}"]
        assert subprocess.run(listed, capture_output=True, check=True).stdout == b""
    except PrerequisiteError as error:
        pytest.skip(f"{error}: podman NOT tested")
    finally:
        subprocess.run(["podman", "rmi", "--force", SHELL_IMAGE], capture_output=True)
