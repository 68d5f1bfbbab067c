"""What the tests of whole processes take for granted."""

from __future__ import annotations

import signal

# A shell without job control starts what it puts into the background with SIGINT ignored, and
# every child inherits that: no Ctrl-C would reach the processes that these tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# `nohup` ignores SIGHUP in the same way.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
