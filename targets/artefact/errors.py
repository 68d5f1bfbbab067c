"""What the simulator raises when a command stream asks for something the NPU cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.core.errors import TargetError

__all__ = ["StreamError", "stream_of"]

_CURE = (
    "compile the model again; if it persists, its compiler is newer than this simulator, "
    "or the simulator is wrong"
)


class StreamError(TargetError):
    """A command stream is malformed, or one of its operations is illegal.

    `word` is the index of the offending 32-bit word, counted from the first word of the
    command stream (of the payload, where the driver actions before the stream are at fault);
    `operation` is Arm's name of the operation or register it stands for. `owner` is whose
    stream it is: the file and, in a graph, the operator; see `stream_of`.
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
        """The same error, naming `owner` as well."""
        return StreamError(
            self._unowned, word=self.word, operation=self.operation, cure=self.cure, owner=owner
        )


@contextmanager
def stream_of(owner: str) -> Iterator[None]:
    """Have every `StreamError` raised within name `owner`."""
    try:
        yield
    except StreamError as error:
        raise error.owned_by(owner) from error
