"""A signal ends the run, also where Python drops the exception that says so."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from bench.pytest_plugin.signals import StopOnSignals


@pytest.fixture
def stop() -> Iterator[StopOnSignals]:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)
    made = StopOnSignals()
    yield made
    made.restore()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts(stop: StopOnSignals, number: int) -> None:
    stop.pytest_runtest_logstart()
    with pytest.raises(KeyboardInterrupt, match=signal.Signals(number).name):
        signal.raise_signal(number)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_comes_during_a_finaliser_ends_the_run_before_the_next_test(
    stop: StopOnSignals,
) -> None:
    class Finalised:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    Finalised()
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        stop.pytest_runtest_logstart()
