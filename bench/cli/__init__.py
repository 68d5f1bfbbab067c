"""The command `bench`: one module per verb, each with its command line.

A verb's module is loaded whenever `bench` starts. What it needs for its work it imports only when
it is called, so `bench --help` loads neither NumPy nor a target.
"""

from bench.cli.main import app

__all__ = ["app"]
