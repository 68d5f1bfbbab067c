"""A board through labgrid: its place, its serial ports, its card, its power.

The environment file has one target with the resources `mcc` and `uart0` (serial ports). It also has
`card` (USB mass storage), unless the settings name the directory where the card is mounted, and a
driver for the power, if that can be switched. With a `RemotePlace` they come from a coordinator,
and the place is acquired for the duration of a batch.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
import time
from collections.abc import Callable
from typing import Any

from bench.core.errors import ConfigError, PrerequisiteError
from bench.core.files import read_regular, reason
from bench.core.processes import Bounds, TimedOutError, run_to_end
from bench.core.processes.children import python_command
from targets.mps3.errors import BoardError, BoardUnavailableError
from targets.mps3.labgrid.volume import LabgridVolume, start_agent
from targets.mps3.ports import Line, Power, Volume
from targets.mps3.serial_line import SerialLine
from targets.settings.mps3 import Mps3Settings

__all__ = ["LabgridPorts"]

#: The user name under which the bench acquires places, so that it recognises them.
_USER = "ethos-u55-bench"
#: The client's message when a bench on this machine left the place acquired.
_OURS = re.compile(r"already acquired place \S+\.$", re.MULTILINE)
_CLIENT = (
    "import runpy\nrunpy.run_module('labgrid.remote.client', run_name='__main__', alter_sys=True)"
)
_ENVIRONMENT_BYTES_MAX = 1 << 20
_CLIENT_TIMEOUT = 60
_RESOURCE_TIMEOUT = 30
_POLL = 2.0
#: Seconds that rfc2217 may take to agree on the line's settings.
_NEGOTIATION = 10


class LabgridPorts:
    """The port `BoardPorts` for a labgrid environment. Nothing is acquired before it is needed."""

    def __init__(self, settings: Mps3Settings) -> None:
        """Read the environment. Raises `PrerequisiteError` without labgrid, `ConfigError`."""
        try:
            from labgrid import Environment
        except ImportError as error:
            raise PrerequisiteError(
                "the package labgrid is not installed", cure="pip install ethos-u55-bench[labgrid]"
            ) from error
        path = settings.labgrid_environment
        assert path is not None, "open_ports looks"
        self._settings = settings
        self._path = path
        try:
            # labgrid opens whatever it is given.
            read_regular(path, _ENVIRONMENT_BYTES_MAX)
            self._environment: Any = Environment(str(path))
            self._config: dict[str, Any] = self._environment.config.data["targets"]["main"]
        except Exception as error:
            # labgrid and its YAML reader raise their own classes, and also plain ones.
            raise ConfigError(
                f"{path} is not a labgrid environment with a target 'main': {reason(error)}",
                cure="see deploy/labgrid.yaml",
            ) from error
        self._target: Any = None
        self._agent: Any = None
        self._acquired = False

    @property
    def key(self) -> str:
        """From the place, which is unique in the coordinator; otherwise from the file's name."""
        return re.sub(r"[^A-Za-z0-9]+", "-", f"labgrid-{self._place or self._path.stem}")

    @property
    def power(self) -> Power | None:
        """The environment's driver for it, if it has one."""
        drivers = self._config.get("drivers", {})
        names = [n for d in (drivers if isinstance(drivers, list) else [drivers]) for n in d]
        if not any("Power" in name for name in names):
            return None
        return _LabgridPower(self._open)

    def open_console(self) -> Line:
        """The resource `mcc`."""
        return SerialLine(self._address("mcc"))

    def open_uart(self) -> Line:
        """The resource `uart0`."""
        return SerialLine(self._address("uart0"))

    def volume(self) -> Volume:
        """The directory from the settings, on the console's machine; otherwise resource `card`."""
        place = self._settings.labgrid_volume
        resource = self._resource("mcc" if place else "card")
        host = getattr(resource, "host", "localhost")
        if self._agent is None:
            self._agent = start_agent(host)
        device = "" if place else str(resource.path)
        return LabgridVolume(self._agent, host, place=place, device=device)

    def close(self) -> None:
        """End the agent, and release the place."""
        if self._agent is not None:
            self._agent.close()
            self._agent = None
        if self._target is not None:
            self._target.cleanup()
            self._target = None
            _end_session()
        if self._acquired:
            self._client("release")
            self._acquired = False

    @property
    def _place(self) -> str:
        resources = self._config.get("resources", {})
        entries = resources if isinstance(resources, list) else [resources]
        for entry in entries:
            if "RemotePlace" in entry:
                return str(entry["RemotePlace"].get("name", ""))
        return ""

    def _open(self) -> Any:
        """The labgrid target; its place is ours."""
        if self._target is None:
            if self._place:
                self._acquire()
            try:
                self._target = self._environment.get_target("main")
            except Exception as error:
                # If the coordinator is not there, gRPC raises errors of its own.
                raise BoardUnavailableError(
                    f"labgrid cannot give the target of {self._path}: {error}",
                    cure="check with labgrid-client resources that coordinator and exporter run",
                ) from error
        return self._target

    def _acquire(self) -> None:
        """Acquire the place, waiting for others; take it back from a killed bench.

        The caller has this machine's lease on the place, so no other bench on this machine has it.
        """
        end = time.monotonic() + 60 * self._settings.lease_wait_minutes
        while True:
            said = self._client("acquire")
            if said is None:
                self._acquired = True
                # The session in this process belongs to the user.
                self._client("allow", _this_user())
                return
            if _OURS.search(said):
                self._client("release")
                continue
            if time.monotonic() >= end:
                raise BoardUnavailableError(
                    f"the labgrid place {self._place} cannot be acquired: {said}",
                    cure="labgrid-client who shows who uses it",
                )
            time.sleep(_POLL)

    def _client(self, *command: str) -> str | None:
        """Run labgrid's client on the place, as the bench's user; returns output of a failure."""
        coordinator = self._environment.config.get_option("coordinator_address", "")
        where = ["-x", coordinator] if coordinator else []
        try:
            done = run_to_end(
                [
                    *python_command(_CLIENT),
                    *where,
                    "-p",
                    self._place,
                    *command,
                ],
                Bounds(_CLIENT_TIMEOUT),
                environment={**os.environ, "LG_USERNAME": _USER},
            )
        except TimedOutError as error:
            raise BoardUnavailableError(
                f"labgrid's coordinator {coordinator} does not answer",
                cure="check that labgrid-coordinator runs there",
            ) from error
        return (done.output + done.errors).strip() if done.status else None

    def _resource(self, name: str) -> Any:
        target = self._open()
        found = [resource for resource in target.resources if resource.name == name]
        if not found:
            raise BoardUnavailableError(
                f"{self._path}: the target has no resource '{name}', but "
                f"{sorted(resource.name for resource in target.resources)}",
                cure="give the exporter's resources the names mcc, uart0 and card; see "
                "deploy/labgrid.yaml",
            )
        target.await_resources(found, timeout=_RESOURCE_TIMEOUT)
        return found[0]

    def _address(self, name: str) -> str:
        resource = self._resource(name)
        if hasattr(resource, "protocol"):
            from labgrid.util.proxy import proxymanager

            host, port = proxymanager.get_host_and_port(resource)
            if resource.protocol == "raw":
                return f"socket://{host}:{port}"
            return f"rfc2217://{host}:{port}?ign_set_control&timeout={_NEGOTIATION}"
        return str(resource.port)


def _end_session() -> None:
    """Forget the coordinator: labgrid keeps one session per process, for all environments."""
    from labgrid.resource.common import ResourceManager
    from labgrid.resource.remote import RemotePlaceManager

    manager = ResourceManager.instances.pop(RemotePlaceManager, None)
    session = getattr(manager, "session", None)
    if session is not None:
        session.loop.run_until_complete(session.stop())


def _this_user() -> str:
    """The host and user of labgrid's sessions."""
    host = os.environ.get("LG_HOSTNAME", socket.gethostname())
    return f"{host}/{os.environ.get('LG_USERNAME', getpass.getuser())}"


class _LabgridPower:
    """The port `Power` for any power driver in the environment."""

    def __init__(self, open_target: Callable[[], Any]) -> None:
        self._open_target = open_target

    def cycle(self) -> None:
        """Off and on. Raises `BoardError`."""
        try:
            driver = self._open_target().get_driver("PowerProtocol")
            driver.cycle()
        except Exception as error:
            # Each power driver of labgrid has its own errors.
            raise BoardError(
                f"labgrid cannot cycle the power: {error}", cure="labgrid-client power cycle"
            ) from error
