"""How much slower this machine is than the one on which the promises in seconds were made.

Ratios of one run hold everywhere. Seconds do not: a slower processor breaks them, and nothing is
wrong with the program.
"""

from __future__ import annotations

import time

__all__ = ["slowness"]

#: Seconds of processor time that `_work` takes there, an AMD EPYC with AVX-512. It was not measured
#: there: on another EPYC, at 2.4 GHz and without AVX-512, it took 0.113 s, and two thousand tests
#: 1.9 times as long as there.
_THERE_S = 0.060
_TIMES = 5


def slowness() -> float:
    """How many times longer Python takes here, at least 1."""
    return max(1.0, min(_timed() for _ in range(_TIMES)) / _THERE_S)


def _timed() -> float:
    start = time.process_time()
    _work()
    return time.process_time() - start


def _work() -> None:
    found: dict[str, tuple[int, int]] = {}
    total = 0
    for number in range(200_000):
        text = str(number)
        total += len(text)
        found[text[-3:]] = (number, total)
