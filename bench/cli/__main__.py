"""`python -m bench.cli`: as the command `bench`."""

from bench.cli.commands import app

app()
