"""Unit tests start no processes: whichever way one tries, `tests/unit/conftest.py` fails it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from tests.support.bench_runs import ROOT

TRIES = """
import multiprocessing, os, pty, subprocess, sys, threading
import pytest

def test_nothing():
    assert 1 + 1 == 2

def test_subprocess():
    subprocess.run(["true"])

def test_that_swallows_what_is_raised():
    try:
        subprocess.run(["true"])
    except BaseException:
        pass

def test_in_a_thread():
    def work():
        try:
            subprocess.run(["true"])
        except BaseException:
            pass
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method):
    multiprocessing.get_context(method).Process(target=print).start()

def test_fork():
    if not os.fork():
        os._exit(0)

def test_system():
    os.system("true")

def test_spawn():
    os.posix_spawn("/bin/true", ["true"], {})

@pytest.fixture(scope="module")
def compiled():
    return subprocess.run(["true"])

def test_in_a_fixture(compiled):
    pass

@pytest.fixture
def cleaned():
    yield
    subprocess.run(["true"])

def test_when_torn_down(cleaned):
    pass
"""


def test_every_way_to_start_a_process_fails_a_unit_test(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests" / "unit" / "conftest.py", tmp_path)
    (tmp_path / "test_tries.py").write_text(TRIES, encoding="utf-8")
    result = tmp_path / "result.xml"
    subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(tmp_path)),
            *("-p", "no:cacheprovider", f"--junit-xml={result}", str(tmp_path)),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        timeout=60,
    )
    cases: dict[str, set[str]] = {}
    for case in ElementTree.parse(result).iter("testcase"):
        cases.setdefault(case.attrib["name"], set()).update(child.tag for child in case)
    assert len(cases) == TRIES.count("def test_") + 2
    assert cases.pop("test_nothing") == set()
    assert {name: how for name, how in cases.items() if not how & {"failure", "error"}} == {}
