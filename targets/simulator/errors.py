"""What the simulator raises when a command stream asks for something the NPU cannot do."""

from __future__ import annotations

from bench.errors import TargetError

__all__ = ["StreamError"]


class StreamError(TargetError):
    """A command stream is malformed, or one of its operations is illegal.

    `word` is the index of the offending 32-bit word, counted from the first word of the
    command stream (of the payload, where the driver actions before the stream are at fault);
    `operation` is Arm's name of the operation or register it stands for.
    """

    def __init__(self, what: str, *, word: int, operation: str, cure: str = "") -> None:
        super().__init__(f"word {word} ({operation}): {what}", cure=cure)
        self.word = word
        self.operation = operation
