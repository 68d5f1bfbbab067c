"""What unit tests take for granted, and what they must not do: start a process."""

from __future__ import annotations

import multiprocessing.util
import platform
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import NoReturn
from unittest import mock

import pytest

from targets.simulator.native import choice
from tests.support.property_tests import load_profile

load_profile()
# LLVM works in the process of the tests, as where its object files cannot be linked.
mock.patch.object(choice, "links_here", return_value=False).start()
# Python starts `uname` for this once, and remembers it.
platform.platform()

#: Python's audit events for the ways to start a process (its library reference, "Audit events
#: table"). multiprocessing spawns in a way that has none.
STARTS = frozenset(
    {
        *("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"),
        *("pty.spawn", "subprocess.Popen"),
    }
)


class Guard:
    """Refuses to start processes while a unit test is set up, run or torn down."""

    def __init__(self) -> None:
        self.armed = False
        #: What was refused: the product may catch what is raised, or be in another thread.
        self.refused: list[str] = []

    def audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.armed and event in STARTS:
            self.refuse(event, *arguments[:2])

    def refuse(self, *what: object) -> NoReturn:
        self.refused.append(" ".join(map(str, what)))
        pytest.fail(
            f"a unit test starts no process: {self.refused[-1]}; move it to tests/integration"
        )

    @contextmanager
    def watching(self) -> Iterator[None]:
        self.armed, self.refused = True, []
        try:
            with mock.patch.object(multiprocessing.util, "spawnv_passfds", self.refuse):
                yield
        finally:
            self.armed = False
        if self.refused:
            pytest.fail(f"a unit test starts no process: {self.refused}; move it")


GUARD = Guard()
# An audit hook stays for the life of the process, so it is told when to look.
sys.addaudithook(GUARD.audit)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, None, None]:
    with GUARD.watching():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    with GUARD.watching():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    with GUARD.watching():
        yield
