"""When the words of the command stream arrive: fetched burst by burst, ahead of the parser."""

from __future__ import annotations

from bench.core.rounding import ceil_div
from targets.ethos_u55.command_stream import WORD_BYTES
from targets.ethos_u55.ports import BEAT_BYTES
from targets.simulator.timing.memory import Channel, Served
from targets.simulator.timing.results import Beats, Engine, Span

__all__ = ["CommandFetch"]


class CommandFetch:
    """Fetches the command stream burst by burst, as the parser needs it."""

    def __init__(self, words: int, channel: Channel, ahead: int, burst_bytes: int) -> None:
        self._words = words
        self._burst_words = burst_bytes // WORD_BYTES
        self._ahead = ahead
        self._channel = channel
        self._served: list[Served] = []
        self._count = ceil_div(words, self._burst_words)

    def arrival(self, word: int, now: float) -> float:
        """When the burst with `word` has arrived, if the parser asks for it at `now`."""
        served = self._served
        burst = word // self._burst_words
        for number in range(len(served), min(burst + 1 + self._ahead, self._count)):
            served.append(self._channel.serve(now, self._burst_beats(number), 1))
        return served[burst].done if burst < len(served) else now

    def _burst_beats(self, burst: int) -> int:
        """Beats of one burst; the stream is assumed to start at a burst's boundary."""
        words = min(self._burst_words, self._words - burst * self._burst_words)
        return _beats(words)

    @property
    def beats(self) -> Beats:
        """Everything there is to fetch."""
        return Beats(read=_beats(self._words), read_bursts=self._count)

    def spans(self, port: int) -> list[Span]:
        """When each burst was fetched."""
        return [Span(Engine.COMMANDS, port, one.start, one.done) for one in self._served]


def _beats(words: int) -> int:
    return ceil_div(words * WORD_BYTES, BEAT_BYTES)
