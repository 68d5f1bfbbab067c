"""A metric that a team wrote is foreign code: whatever it does, it ends, and says no falsehood."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest

from bench.core.errors import ModelError
from bench.measuring.scoring import custom_metric
from bench.measuring.scoring.custom_metric import evaluate_custom
from bench.measuring.scoring.scores import Scored
from bench.plan.config import CustomMetric

METRICS = """
import os, signal, subprocess, sys, time
import numpy

def right(outputs, labels):
    return (outputs.argmax(axis=1) == labels).mean()

def greedy(outputs, labels):
    # Asked for and never touched.
    return numpy.empty(16 << 30, numpy.uint8).size

def endless(outputs, labels):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open({pids!r}, "w") as stream:
        stream.write(f"{{os.getpid()}} {{child.pid}}")
    while True:
        time.sleep(1)

def aborts(outputs, labels):
    os.abort()

def leaves(outputs, labels):
    sys.exit(0)

def vanishes(outputs, labels):
    os._exit(0)

def exits(outputs, labels):
    sys.exit(3)

def nothing(outputs, labels):
    return float("nan")

def many(outputs, labels):
    return outputs

def words(outputs, labels):
    print("1.0\\x1b[2J")
    raise ValueError("odd\\x1b[31m\\nFAILED forged")
"""


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    return tmp_path / "pids"


def evaluated(function: str, pids: Path) -> float:
    file = pids.with_name("metrics.py")
    file.write_text(METRICS.format(pids=str(pids)), encoding="utf-8")
    outputs = np.eye(4, dtype=np.float32)
    metric = CustomMetric(file=file, function=function)
    return evaluate_custom(metric, Scored(outputs, np.array([0, 1, 2, 0])))


def test_what_it_returns_is_the_figure(pids: Path) -> None:
    assert evaluated("right", pids) == 0.75


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("greedy", "MemoryError"),
        ("aborts", "ended with SIGABRT"),
        ("exits", "ended with exit status 3"),
        ("leaves", "ended without an answer"),
        ("vanishes", "ended without an answer"),
        ("nothing", "returned nan, which is not a finite number"),
        ("many", "TypeError"),
        ("words", "ValueError: odd"),
        ("absent", "has no attribute 'absent'"),
    ],
)
def test_what_gives_no_number_is_an_error_that_names_it(
    function: str, says: str, pids: Path
) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        evaluated(function, pids)
    assert str(caught.value).startswith(f"metric metrics.py:{function}: ")
    assert "\x1b" not in str(caught.value)
    assert "\nFAILED" not in str(caught.value)


def test_one_that_never_ends_is_ended_with_what_it_started(
    pids: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds = custom_metric._BOUNDS
    assert bounds.memory_bytes is not None
    monkeypatch.setattr(custom_metric, "_BOUNDS", type(bounds)(5, bounds.memory_bytes))
    with pytest.raises(ModelError, match=r"metrics\.py:endless: did not end in 5 s"):
        evaluated("endless", pids)
    for pid in pids.read_text(encoding="utf-8").split():
        # Whose parent has gone may wait for somebody to ask after it.
        assert not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == "zombie"
