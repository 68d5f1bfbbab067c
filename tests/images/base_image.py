"""A base image where no registry is at hand: Debian, as debootstrap makes it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.images.engine import EngineUnavailableError, RunningEngine

__all__ = ["BASE_IMAGE", "ensure_base_image", "mirror_of"]

BASE_IMAGE = "debian:bookworm-slim"
_SUITE = "bookworm"
_SECONDS = 900.0


def ensure_base_image(engine: RunningEngine) -> str:
    """Make sure `BASE_IMAGE` is on the engine; returns how it came there, in words.

    On an engine of our own, without a registry, an image made by debootstrap takes its name; on
    anybody else's engine it is pulled like any other. Raises `EngineUnavailableError`.
    """
    try:
        engine.docker("image", "inspect", BASE_IMAGE)
        return "it was there"
    except subprocess.CalledProcessError:
        pass
    if not engine.private:
        try:
            engine.docker("pull", BASE_IMAGE)
            return "pulled"
        except subprocess.CalledProcessError as error:
            raise EngineUnavailableError(
                f"{BASE_IMAGE} cannot be pulled: {error.stderr.strip()}"
            ) from error
    _import_debootstrap(engine)
    return "made by debootstrap, in the place of the public one"


def _import_debootstrap(engine: RunningEngine) -> None:
    if shutil.which("debootstrap") is None:
        raise EngineUnavailableError("debootstrap is not installed")
    mirror = mirror_of(_apt_sources())
    with tempfile.TemporaryDirectory(prefix="bench-debian-", dir="/var/tmp") as name:
        root = Path(name, "root")
        # Without a mirror debootstrap takes its own default.
        command = ["debootstrap", "--variant=minbase", _SUITE, str(root), *filter(None, [mirror])]
        made = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_SECONDS
        )
        if made.returncode != 0:
            said = (made.stdout.strip() or made.stderr.strip()).splitlines() or ["(no words)"]
            raise EngineUnavailableError(f"debootstrap failed: {said[-1]}")
        archive = Path(name, "root.tar")
        # No cached packages, and no device nodes: the engine makes its own.
        subprocess.run(
            ["tar", "-C", root, "--exclude=./var/cache/apt/archives/*.deb", "--exclude=./dev/*",
             "-cf", archive, "."],
            check=True,
        )  # fmt: skip
        engine.docker("import", str(archive), BASE_IMAGE)


def mirror_of(sources: str) -> str:
    """The mirror of Debian's main archive that `sources` (of apt, either format) names first.

    Empty if it names none.
    """
    for match in re.finditer(r"^(?:URIs:|deb(?: \[[^\]]*\])?)\s+(https?://\S+)", sources, re.M):
        if match[1].rstrip("/").endswith("/debian"):
            return match[1]
    return ""


def _apt_sources() -> str:
    directory = Path("/etc/apt")
    files = [directory / "sources.list", *sorted((directory / "sources.list.d").glob("*"))]
    return "\n".join(
        path.read_text(errors="replace", encoding="utf-8") for path in files if path.is_file()
    )
