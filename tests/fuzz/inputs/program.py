"""How the campaign against the bench's entrances is run."""

from __future__ import annotations

from tests.fuzz.campaign import Program
from tests.fuzz.inputs.benches import BENCH_SECONDS

__all__ = ["PROGRAM"]

#: A case that is a whole bench waits for it, on the processor of others.
PROGRAM = Program("tests.fuzz.inputs", "tests.fuzz.inputs.worker", grace_s=BENCH_SECONDS + 60)
