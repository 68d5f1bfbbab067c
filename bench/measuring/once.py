"""Steps whose product several cells share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from bench.core.errors import BenchError

__all__ = ["Once"]

_Asked = TypeVar("_Asked", bound=Hashable)
_Made = TypeVar("_Made")


class Once(Generic[_Asked, _Made]):
    """A step that is taken at most once in this process for each request.

    A failure is an outcome too: the same request gets the same error, and nothing is tried again.
    """

    def __init__(self, make: Callable[[_Asked], _Made]) -> None:
        self._make = make
        self._outcomes: dict[_Asked, _Made | BenchError] = {}

    def __call__(self, asked: _Asked) -> _Made:
        """The product for `asked`. Raises the `BenchError` of making it."""
        if asked not in self._outcomes:
            try:
                self._outcomes[asked] = self._make(asked)
            except BenchError as error:
                self._outcomes[asked] = error
        outcome = self._outcomes[asked]
        if isinstance(outcome, BenchError):
            raise outcome
        return outcome
