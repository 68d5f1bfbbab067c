"""What the images are made with: the FVP's installation, the mirror of a base image."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from deploy.docker.install_fvp import EXECUTABLE, InstallationError, Request, install, main, verify
from tests.images.base_image import mirror_of
from tests.images.try_images import write_stand_in

EULA = "ARM_FVP_INSTALL_I_AGREE_TO_THE_CONTAINED_EULA"
ROOT = Path(__file__).resolve().parents[2]


def environment(**changes: str) -> dict[str, str]:
    return {EULA: "True", "FVP_ARCHIVE": "fvp.tgz", "FVP_SHA256": "0" * 64, **changes}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({EULA: ""}, f"without your consent to Arm's licence .* --build-arg {EULA}=True"),
        ({EULA: "no"}, "without your consent"),
        ({"FVP_ARCHIVE": ""}, "no FVP archive is named"),
        ({"FVP_SHA256": ""}, "checksum is missing"),
        ({"FVP_SHA256": "12"}, "checksum is missing"),
    ],
)
def test_what_is_missing_is_one_sentence(changes: dict[str, str], says: str) -> None:
    with pytest.raises(InstallationError, match=says) as caught:
        Request.from_environment(environment(**changes))
    assert "\n" not in str(caught.value)


def test_an_archive_of_arms_form_is_installed_and_starts(tmp_path: Path) -> None:
    write_stand_in(tmp_path / "fvp.tgz")
    digest = hashlib.sha256((tmp_path / "fvp.tgz").read_bytes()).hexdigest()
    request = Request.from_environment(environment(FVP_SHA256=digest.upper()))
    executable = install(request, tmp_path, tmp_path / "opt")
    assert executable == tmp_path / "opt" / "bin" / EXECUTABLE
    assert "Fast Models" in verify(executable)


def test_the_model_gets_the_libraries_it_came_with(tmp_path: Path) -> None:
    """An archive without an installer, which brings its own Python."""
    tree = tmp_path / "tree"
    model = tree / "models" / "Linux64_GCC-9.3" / EXECUTABLE
    for directory in (model.parent, tree / "python" / "lib", tree / "fmtplib"):
        directory.mkdir(parents=True)
    model.write_text("#!/bin/sh\necho Fast Models $PYTHONHOME $LD_LIBRARY_PATH\n", encoding="utf-8")
    model.chmod(0o755)
    with tarfile.open(tmp_path / "fvp.tgz", "w:gz") as archive:
        archive.add(tree, "fvp")
    digest = hashlib.sha256((tmp_path / "fvp.tgz").read_bytes()).hexdigest()
    install(Request("fvp.tgz", digest), tmp_path, tmp_path / "opt")
    done = subprocess.run(
        [tmp_path / "opt" / "bin" / EXECUTABLE], capture_output=True, text=True, check=True
    )
    home = tmp_path / "opt" / "fvp"
    assert done.stdout.split() == [
        *("Fast", "Models", str(home / "python")),
        f"{home / 'fmtplib'}:{home / 'python' / 'lib'}",
    ]


def entry(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o755) -> tarfile.TarInfo:
    made = tarfile.TarInfo(f"fvp/{name}")
    made.type, made.mode = kind, mode
    return made


def link(name: str, target: str) -> tarfile.TarInfo:
    made = entry(name, tarfile.SYMTYPE)
    made.linkname = target
    return made


REFUSED = {
    "setuid": ([entry("sh", mode=0o4755)], "'fvp/sh', which is set to run with the rights"),
    "setgid": ([entry("sh", mode=0o2755)], "'fvp/sh', which is set to run with the rights"),
    "pipe": ([entry("pipe", tarfile.FIFOTYPE)], "'fvp/pipe', which is a device, a pipe"),
    "character device": ([entry("null", tarfile.CHRTYPE)], "'fvp/null', which is a device"),
    "block device": ([entry("disk", tarfile.BLKTYPE)], "'fvp/disk', which is a device"),
    "link out": ([link("bin", "/usr/bin")], "'fvp/bin', which is a link to '/usr/bin'"),
    "link up": ([link("bin", "../../x")], "'fvp/bin', which is a link to '../../x'"),
    "links in turn": ([link("a", "b"), link("b", "/etc")], "which is a link to"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_an_image_should_not_carry_is_refused(tmp_path: Path, case: str) -> None:
    entries, says = REFUSED[case]
    if "device" in case and os.getuid() != 0:
        pytest.skip("only root unpacks device nodes: whether they are refused was NOT tried")
    with tarfile.open(tmp_path / "fvp.tgz", "w:gz") as archive:
        archive.addfile(entry(EXECUTABLE))
        # Links within the tree are what real archives hold.
        archive.addfile(link("alias", EXECUTABLE))
        archive.addfile(link("circle", "circle"))
        for one in entries:
            archive.addfile(one)
    digest = hashlib.sha256((tmp_path / "fvp.tgz").read_bytes()).hexdigest()
    with pytest.raises(InstallationError, match=re.escape(says)) as caught:
        install(Request("fvp.tgz", digest), tmp_path, tmp_path / "opt")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "opt").exists()


def test_what_an_installer_leaves_is_looked_at_too(tmp_path: Path) -> None:
    script = tmp_path / "setup.sh"
    script.write_text(
        f'#!/bin/sh\nfor to; do :; done\ntouch "$to/{EXECUTABLE}"\nchmod 4755 "$to/{EXECUTABLE}"\n',
        encoding="utf-8",
    )
    with tarfile.open(tmp_path / "fvp.tgz", "w:gz") as archive:
        archive.add(script, "fvp/setup.sh")
    digest = hashlib.sha256((tmp_path / "fvp.tgz").read_bytes()).hexdigest()
    with pytest.raises(InstallationError, match="set to run with the rights"):
        install(Request("fvp.tgz", digest), tmp_path, tmp_path / "opt")


def test_another_archive_is_refused(tmp_path: Path) -> None:
    write_stand_in(tmp_path / "fvp.tgz")
    with pytest.raises(InstallationError, match="another release, or it was damaged"):
        install(Request("fvp.tgz", "0" * 64), tmp_path, tmp_path / "opt")
    (tmp_path / "fvp.tgz").write_bytes(b"no archive")
    digest = hashlib.sha256(b"no archive").hexdigest()
    with pytest.raises(InstallationError, match="cannot be unpacked"):
        install(Request("fvp.tgz", digest), tmp_path, tmp_path / "opt")
    with pytest.raises(InstallationError):
        install(Request("missing.tgz", digest), tmp_path, tmp_path / "opt")


def test_the_program_says_it_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(EULA, raising=False)
    assert main(["--directory", str(tmp_path / "opt")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("fvp: the FVP is not installed without your consent")
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("sources", "mirror"),
    [
        ("", ""),
        ("deb http://mirror.example/debian bookworm main\n", "http://mirror.example/debian"),
        (
            "deb http://x.example/debian-security bookworm-security main\n"
            "deb [signed-by=/k.gpg] https://y.example/debian/ bookworm main\n",
            "https://y.example/debian/",
        ),
        (
            "Types: deb\nURIs: http://z.example/debian\nSuites: bookworm\n",
            "http://z.example/debian",
        ),
        ("# deb http://commented.example/debian x main\n", ""),
    ],
)
def test_the_mirror_is_the_one_apt_uses(sources: str, mirror: str) -> None:
    assert mirror_of(sources) == mirror


def test_the_context_holds_what_the_image_copies() -> None:
    """Every file the Dockerfile copies is let through by .dockerignore."""
    allowed = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    copied = [
        words[-2]
        for words in map(str.split, (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines())
        if words[:1] == ["COPY"] and "--from" not in words[1] and words[-2] != "."
    ]
    assert len(copied) >= 3
    for name in copied:
        assert any(name == entry or name.startswith(f"{entry}/") for entry in allowed), name
