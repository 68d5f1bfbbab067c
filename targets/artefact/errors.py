"""The error for a command stream that asks for something the NPU cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.core.errors import TargetError

__all__ = ["StreamError", "WeightStreamError", "stream_of"]

_CURE = (
    "compile the model again; if it persists, its compiler is newer than this simulator, "
    "or the simulator is wrong"
)


class StreamError(TargetError):
    """A command stream is malformed, or one of its operations is illegal.

    `word` is the index of the offending 32-bit word in the command stream, or in the payload if
    the driver actions before the stream are wrong. `operation` is Arm's name for the operation or
    register. `owner` says whose stream it is: the file and, in a graph, the operator; see
    `stream_of`.
    """

    def __init__(
        self, what: str, *, word: int, operation: str, cure: str = "", owner: str = ""
    ) -> None:
        prefix = f"{owner}: " if owner else ""
        super().__init__(f"{prefix}word {word} ({operation}): {what}", cure=cure or _CURE)
        self.word = word
        self.operation = operation
        self._unowned = what

    def owned_by(self, owner: str) -> StreamError:
        """The same error, which also names `owner`."""
        return type(self)(
            self._unowned, word=self.word, operation=self.operation, cure=self.cure, owner=owner
        )


class WeightStreamError(StreamError):
    """The command stream is sound, but the weights that it names cannot be decoded."""


@contextmanager
def stream_of(owner: str) -> Iterator[None]:
    """Make every `StreamError` that is raised inside name `owner`."""
    try:
        yield
    except StreamError as error:
        raise error.owned_by(owner) from error
