"""What must be closed, as a context manager: owners of processes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

__all__ = ["Closing"]

_Self = TypeVar("_Self", bound="Closing")


class Closing(ABC):
    """Leaving it as a context manager closes it, whatever ended the block."""

    @abstractmethod
    def close(self) -> None:
        """End what it holds, if there is anything. May be called again."""

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
