"""The command `bench`: one module a verb."""

from bench.cli.commands import app

__all__ = ["app"]
