"""Block operations made by hand, as a command stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from targets.artefact.stream.operations import BlockOperation, Operation, Stop

__all__ = ["WORDS", "stream"]

#: Words of the stream for each operation.
WORDS = 10


def stream(operations: Sequence[BlockOperation]) -> list[Operation]:
    """`operations` at places of their own, and the end."""
    placed: list[Operation] = [
        replace(operation, word=WORDS * (i + 1) - 1, issue_words=WORDS)
        for i, operation in enumerate(operations)
    ]
    return [*placed, Stop(word=WORDS * len(operations), issue_words=1, mask=0xFFFF)]
