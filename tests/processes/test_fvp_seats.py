"""Seats that processes share."""

from __future__ import annotations

import multiprocessing
import threading
import time
from pathlib import Path

from targets.fvp.process_slots import seat


def occupy(directory: str, count: int, log: str) -> None:
    """For a process: sit down, say so, stay a moment, and until a second has sat down too."""
    with seat(count, Path(directory)) as number:
        with open(log, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(f"+{number} {time.monotonic()}\n")
        deadline = time.monotonic() + 20
        time.sleep(0.15)
        while Path(log).read_text(encoding="utf-8").count("+") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        with open(log, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(f"-{number} {time.monotonic()}\n")


def test_no_more_than_the_seats_at_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=occupy, args=(str(tmp_path / "seats"), 2, str(log)))
        for _ in range(5)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    events = sorted(
        (float(line.split()[1]), line[0]) for line in log.read_text(encoding="utf-8").splitlines()
    )
    assert len(events) == 10
    seated = most = 0
    for _, what in events:
        seated += 1 if what == "+" else -1
        most = max(most, seated)
    assert most == 2


def test_a_killed_process_gives_its_seat_back(tmp_path: Path) -> None:
    taken = multiprocessing.get_context("fork").Event()

    def hold() -> None:
        with seat(1, tmp_path):
            taken.set()
            time.sleep(60)

    process = multiprocessing.get_context("fork").Process(target=hold)
    process.start()
    assert taken.wait(10)
    waiting = threading.Timer(0.2, process.kill)
    waiting.start()
    with seat(1, tmp_path) as number:
        assert number == 0
    process.join(10)
