"""Recurrent cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.operators.case import Case
from tests.operators.recurrent import fused_lstm, unrolled_gru, unrolled_lstm

__all__ = ["cases"]


def cases() -> Iterator[Case]:
    """All of them."""
    yield Case("lstm/one-step", lambda n: fused_lstm(n, n.input((1, 1, 6)), 8))
    yield Case("lstm/six-steps", lambda n: fused_lstm(n, n.input((1, 6, 10)), 16))
    yield Case("lstm/time-major", lambda n: fused_lstm(n, n.input((1, 1, 10)), 12, time_major=True))
    yield Case("lstm/int16", lambda n: fused_lstm(n, n.input((1, 4, 6), "int16"), 8))
    yield Case("lstm-unrolled/one-step", lambda n: unrolled_lstm(n, n.input((1, 1, 6)), 8))
    yield Case("lstm-unrolled/four-steps", lambda n: unrolled_lstm(n, n.input((1, 4, 10)), 12))
    yield Case("gru-unrolled/one-step", lambda n: unrolled_gru(n, n.input((1, 1, 6)), 8))
    yield Case("gru-unrolled/four-steps", lambda n: unrolled_gru(n, n.input((1, 4, 10)), 12))
