"""What is measured or demanded, as data: a number with its unit, a finding in words, or neither."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from bench.core.schema import RecordModel

__all__ = ["Absent", "Category", "Figure", "Number", "shown", "shown_number"]


class Number(RecordModel):
    """A figure."""

    kind: Literal["number"] = "number"
    value: float
    #: `KiB`, `cycles`, `ms`, ...; empty for shares and ratios.
    unit: str


class Category(RecordModel):
    """A finding that is not one number: `memory-bound`, or variants in an order."""

    kind: Literal["category"] = "category"
    value: str


class Absent(RecordModel):
    """There is no figure. It is never 0, and never left out."""

    kind: Literal["absent"] = "absent"
    #: Why; empty if nobody knows, which is a fault.
    reason: str


Figure: TypeAlias = Annotated[Number | Category | Absent, Field(discriminator="kind")]

#: Unit -> decimals; other units count things.
_DECIMALS = {"": 4, "KiB": 2, "ms": 3}


def shown_number(value: float, unit: str) -> str:
    """`value` for people: counts with thousands separators, sizes to 0.01 KiB."""
    if unit in _DECIMALS:
        return f"{value:,.{_DECIMALS[unit]}f} {unit}".rstrip()
    return f"{value:,.0f} {unit.removesuffix('s') if value == 1 else unit}"


def shown(figure: Number | Category | Absent | None) -> str:
    """A figure for people; empty for None."""
    if isinstance(figure, Number):
        return shown_number(figure.value, figure.unit)
    if isinstance(figure, Category):
        return figure.value
    return "" if figure is None else "absent"
