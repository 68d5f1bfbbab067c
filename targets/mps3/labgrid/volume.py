"""The SD card of a board on another machine, through labgrid's agent there."""

from __future__ import annotations

import base64
import platform
from pathlib import Path
from typing import Any

from targets.mps3.errors import BoardError, volume_error

__all__ = ["LabgridVolume", "start_agent"]

_AGENT = "card_agent"
#: Bytes that are sent in one message.
_PIECE = 1 << 20
_HERE = ("localhost", "127.0.0.1", "::1")


def start_agent(host: str) -> Any:
    """Labgrid's agent wrapper for `host`; over ssh, unless it is this machine."""
    from labgrid.util.agentwrapper import AgentWrapper

    local = host in (*_HERE, platform.node(), platform.node().split(".", maxsplit=1)[0])
    return AgentWrapper(None if local else host)


class LabgridVolume:
    """The port `Volume` for directory `place` on the agent's machine, or for a block device there.

    When a device is first needed, it is looked up among the mounts; if necessary, udisks mounts it.
    """

    def __init__(self, wrapper: Any, host: str, *, place: str = "", device: str = "") -> None:
        self._wrapper = wrapper
        self._agent = wrapper.load(_AGENT, path=str(Path(__file__).resolve().parent))
        self._host = host
        self._place = place
        self._device = device

    def describe(self) -> str:
        """Machine and directory."""
        return f"{self._host}:{self._place or self._device}"

    def present(self) -> bool:
        """Whether it is mounted and not empty."""
        try:
            return bool(self._call("listing", ""))
        except BoardError:
            return False

    def listing(self, directory: str) -> tuple[str, ...]:
        """The names in `directory`."""
        return tuple(self._call("listing", directory))

    def read(self, name: str) -> bytes | None:
        """The file's bytes, or None."""
        text = self._call("read", name)
        return None if text is None else base64.b85decode(text)

    def write(self, name: str, data: bytes) -> None:
        """Write in pieces, each flushed."""
        for at in range(0, max(len(data), 1), _PIECE):
            piece = data[at : at + _PIECE]
            self._call("write", name, base64.b85encode(piece).decode("ascii"), at)

    def replace(self, source: str, target: str) -> None:
        """Rename."""
        self._call("replace", source, target)

    def remove(self, name: str) -> None:
        """Unlink."""
        self._call("remove", name)

    def free_bytes(self) -> int:
        """The free space."""
        return int(self._call("free_bytes"))

    def sync(self) -> None:
        """Flush the file system."""
        self._call("sync")

    def _call(self, method: str, *arguments: object) -> Any:
        root = self._place or self._ask("mount_point", self._device)
        return self._ask(method, root, *arguments)

    def _ask(self, method: str, *arguments: object) -> Any:
        from labgrid.util.agentwrapper import AgentError, AgentException

        try:
            state, *result = getattr(self._agent, method)(*arguments)
        except (AgentError, AgentException, OSError, ValueError) as error:
            raise BoardError(
                f"labgrid's agent on {self._host} failed: {error}",
                cure="check that ssh to that machine works without a password, and that python3 is "
                "there",
            ) from error
        if state == "ok":
            return result[0]
        number, text = result
        name = arguments[1] if len(arguments) > 1 else ""
        raise volume_error(number, f"cannot {method} {self.describe()}/{name}: {text}")
