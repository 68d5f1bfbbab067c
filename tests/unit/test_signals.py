"""Signals that are held back for a moment: delayed, not lost, whatever threads there are."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from bench.core.processes.signals import STOPPING, SignalsHeldBack


@pytest.fixture(autouse=True)
def another_thread() -> Iterator[None]:
    """As numeric libraries have them: the kernel may give it any signal of the process."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    yield
    end.set()
    thread.join()


@pytest.fixture(autouse=True)
def stopping() -> Iterator[None]:
    """SIGTERM and SIGHUP mean Ctrl-C."""
    before = {number: signal.getsignal(number) for number in STOPPING}
    for number in STOPPING:
        signal.signal(number, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def come(number: signal.Signals) -> None:
    """The signal, from outside, with time to be handled."""
    os.kill(os.getpid(), number)
    for _ in range(20):
        time.sleep(0.001)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in STOPPING]


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_comes_when_the_block_has_ended(number: signal.Signals) -> None:
    outside = handlers()
    steps = []

    def work() -> None:
        with SignalsHeldBack(*STOPPING):
            steps.append("begun")
            come(number)
            steps.append("done")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["begun", "done"]
    assert handlers() == outside


def test_one_that_is_let_through_ends_the_inner_block_only() -> None:
    outside = handlers()
    steps = []

    def work() -> None:
        with SignalsHeldBack(*STOPPING) as held_back:
            try:
                with held_back.let_through():
                    steps.append("begun")
                    come(signal.SIGINT)
                    steps.append("never")
            finally:
                # Undisturbed, though there is one more.
                come(signal.SIGTERM)
                steps.append("removed")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["begun", "removed"]
    assert handlers() == outside


def test_several_at_once_restore_every_handler() -> None:
    outside = handlers()

    def work() -> None:
        with SignalsHeldBack(*STOPPING):
            for number in STOPPING:
                come(number)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert handlers() == outside


def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with SignalsHeldBack(*STOPPING):
        come(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_other_threads_hold_nothing_back() -> None:
    found = []

    def run() -> None:
        with SignalsHeldBack(*STOPPING):
            found.append(handlers())

    outside = handlers()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [outside]
