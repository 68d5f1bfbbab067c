"""Whole numbers of things: divisions that round up."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["ceil_div", "round_up"]

_Number = TypeVar("_Number", int, float)


def ceil_div(value: _Number, step: _Number) -> _Number:
    """How many steps of `step` cover `value`; exact for floats too, unlike `ceil(a / b)`."""
    return -(-value // step)


def round_up(value: int, step: int) -> int:
    """The smallest multiple of `step` that is not below `value`."""
    return ceil_div(value, step) * step
