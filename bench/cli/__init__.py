"""The command `bench`: one module per verb, each with its command line.

A verb's module is read whenever `bench` starts. What the verb needs to do its work it imports when
it is called, so that `bench --help` loads neither NumPy nor a target.
"""

from bench.cli.main import app

__all__ = ["app"]
