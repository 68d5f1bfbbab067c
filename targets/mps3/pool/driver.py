"""The process of one board: visits it and gives it what the bench sends.

`targets.mps3.pool.process` starts it. Each board has a process of its own because everything that
reaches boards waits, and labgrid has one session per process. It takes an `Order` from the
connection whose file descriptor is its last argument. SIGTERM means here what Ctrl-C means in the
bench: restore the card, release the board, and end.
"""

from __future__ import annotations

import signal
import sys
from multiprocessing.connection import Connection

from bench.core.errors import BenchError
from targets.mps3.pool.messages import Ended, Order, Outcome, Ready, Share, Step
from targets.mps3.visit import Visitor, Works, works_of

__all__ = ["main"]


def main() -> None:
    """Visit the board once."""
    # The terminal's Ctrl-C does not reach this session, but somebody's kill may.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    bench = Connection(int(sys.argv[-1]))
    try:
        order: Order = bench.recv()
        bench.send(_visited(order, bench))
    except KeyboardInterrupt:
        bench.close()


def _visited(order: Order, bench: Connection) -> Ended:
    visitor = Visitor(
        order.settings,
        order.logs,
        progress=lambda text: bench.send(Step(text)),
        name=order.name,
    )

    def take() -> Works:
        while True:
            bench.send(Ready())
            share: Share = bench.recv()
            works, refused = works_of(share, order.settings.repetitions)
            for number, error in refused:
                bench.send(Outcome(number, error))
            if works or not share:
                return works

    try:
        for number, outcome in visitor.visit(f"bench, board {order.name} of a pool", take):
            bench.send(Outcome(number, outcome))
    except BenchError as error:
        return Ended(error)
    return Ended(None)
