"""How much slower this machine is than the one on which the promises in seconds were made.

Ratios of one run hold everywhere. Seconds do not: a slower processor breaks them, and nothing is
wrong with the program.
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor

__all__ = ["slowness"]

#: Seconds of processor time that `_work` takes there, an AMD EPYC with AVX-512. It was not measured
#: there: on another EPYC, at 2.4 GHz and without AVX-512, it took 0.113 s with both cores busy, and
#: two thousand tests 1.9 times as long as there.
_THERE_S = 0.060
_TIMES = 5


def slowness(processes: int = 1) -> float:
    """How many times longer Python takes here, at least 1, in so many processes side by side.

    The longest of several times counts: two cores may be one that shares its units.
    """
    if processes == 1:
        return max(1.0, _slowest() / _THERE_S)
    with ProcessPoolExecutor(processes) as pool:
        waiting = [pool.submit(_slowest) for _ in range(processes)]
        return max(1.0, *(one.result() / _THERE_S for one in waiting))


def _slowest() -> float:
    times = []
    for _ in range(_TIMES):
        start = time.process_time()
        _work()
        times.append(time.process_time() - start)
    return max(times)


def _work() -> None:
    found: dict[str, tuple[int, int]] = {}
    total = 0
    for number in range(200_000):
        text = str(number)
        total += len(text)
        found[text[-3:]] = (number, total)
