"""The engine of the bench: plan, build, measure, judge, report. Never imports TensorFlow."""

import time

__version__ = "0.1.0"

#: Nanoseconds since the epoch when the first module of ours was loaded, which is this one. A source
#: changed later may not be what this process runs; see `bench.core.fingerprint`.
LOADED_NS = time.time_ns()
