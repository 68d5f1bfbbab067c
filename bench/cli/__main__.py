"""`python -m bench.cli`: as the command `bench`."""

from bench.cli.main import app

app()
