"""Groups of verbs, one of which is meant where none is named."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

__all__ = ["ShowsByDefault"]


class ShowsByDefault(TyperGroup):
    """`bench history METRIC CELL` is short for `bench history show METRIC CELL`."""

    default_verb = "show"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default verb first where the command line begins with none."""
        if args and args[0] not in {*self.commands, "--help"}:
            args = [self.default_verb, *args]
        return super().parse_args(ctx, args)
