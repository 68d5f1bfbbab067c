"""A board through labgrid: its place, its serial ports, its card, its power.

The environment file has one target with the resources `mcc` and `uart0` (serial ports). It also has
`card` (USB mass storage), unless the settings name the directory where the card is mounted, and a
driver for the power, if that can be switched. With a `RemotePlace` they come from a coordinator,
and the place is acquired for the duration of a batch. The settings may name another place, or tags:
then any place with them is reserved.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from targets.mps3.errors import BoardError, BoardUnavailableError
from targets.mps3.labgrid.coordinator import our_name, this_user
from targets.mps3.labgrid.environment import LabgridEnvironment
from targets.mps3.labgrid.keys import key_of
from targets.mps3.labgrid.reservation import Reservation
from targets.mps3.labgrid.volume import LabgridVolume, start_agent
from targets.mps3.ports import Line, Power, Volume
from targets.mps3.serial_line import SerialLine
from targets.settings.mps3 import Mps3Settings

__all__ = ["LabgridPorts"]

_RESOURCE_TIMEOUT = 30
_POLL = 2.0
#: Seconds that rfc2217 may take to agree on the line's settings.
_NEGOTIATION = 10


class LabgridPorts:
    """The port `BoardPorts` for a labgrid environment. Nothing is acquired before it is needed."""

    def __init__(self, settings: Mps3Settings) -> None:
        """Read the environment, and reserve a place if the settings have tags.

        Raises `PrerequisiteError` without labgrid, `ConfigError`, `BoardUnavailableError`.
        """
        assert settings.labgrid_environment is not None, "open_ports looks"
        self._settings = settings
        self._environment = LabgridEnvironment(settings.labgrid_environment)
        self._coordinator = self._environment.coordinator
        self._target: Any = None
        self._agent: Any = None
        self._acquired = False
        self._reservation: Reservation | None = None
        if settings.labgrid_tags:
            self._environment.require_remote_place("labgrid_tags")
            self._reservation = Reservation(settings, self._coordinator)
            self._environment.choose(self._reservation.place)
        elif settings.labgrid_place:
            self._environment.require_remote_place("labgrid_place")
            self._environment.choose(settings.labgrid_place)

    @property
    def key(self) -> str:
        """From the place, which is unique in the coordinator; otherwise from the file's name."""
        return key_of(self._place or self._environment.path.stem)

    @property
    def power(self) -> Power | None:
        """The environment's driver for it, if it has one."""
        return _LabgridPower(self._open) if self._environment.switches_power else None

    def open_console(self) -> Line:
        """The resource `mcc`."""
        return SerialLine(self._address("mcc"))

    def open_uart(self) -> Line:
        """The resource `uart0`."""
        return SerialLine(self._address("uart0"))

    def volume(self) -> Volume:
        """The directory from the settings, on the console's machine; otherwise resource `card`."""
        place = self._settings.labgrid_volume.replace("{place}", self._place)
        resource = self._resource("mcc" if place else "card")
        host = getattr(resource, "host", "localhost")
        if self._agent is None:
            self._agent = start_agent(host)
        device = "" if place else str(resource.path)
        return LabgridVolume(self._agent, host, place=place, device=device)

    def close(self) -> None:
        """End the agent, release the place, and end its reservation."""
        with ExitStack() as stack:
            if self._reservation is not None:
                stack.callback(self._reservation.close)
            if self._acquired:
                self._acquired = False
                stack.callback(self._coordinator.release, self._place)
            if self._target is not None:
                stack.callback(_end_session)
                stack.callback(self._target.cleanup)
                self._target = None
            if self._agent is not None:
                stack.callback(self._agent.close)
                self._agent = None

    @property
    def _place(self) -> str:
        return self._environment.place

    def _open(self) -> Any:
        """The labgrid target; its place is ours."""
        if self._target is None:
            if self._place:
                self._acquire()
            self._target = self._environment.target()
        return self._target

    def _acquire(self) -> None:
        """Acquire the place, waiting for others; take it back from a killed bench.

        The caller has this machine's lease on the place, so no other bench on this machine has it.
        """
        end = time.monotonic() + 60 * self._settings.lease_wait_minutes
        while said := self._coordinator.acquire(self._place):
            if self._coordinator.holder(self._place) == our_name():
                self._coordinator.release(self._place)
                continue
            if time.monotonic() >= end:
                raise BoardUnavailableError(
                    f"the labgrid place {self._place} cannot be acquired: {said}",
                    cure="labgrid-client who shows who uses it",
                )
            time.sleep(_POLL)
        self._acquired = True
        # The session in this process belongs to the user.
        self._coordinator.allow(self._place, this_user())

    def _resource(self, name: str) -> Any:
        target = self._open()
        found = [resource for resource in target.resources if resource.name == name]
        if not found:
            raise BoardUnavailableError(
                f"{self._environment.path}: the target has no resource '{name}', but "
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
