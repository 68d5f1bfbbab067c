"""The process that judges units of a plan: the program that `bench.assembly.unit_pool` starts.

It gets the setup of the run once, then units by the ids of their cells and groups. It answers each
with the outcomes of its tests. It ends with the connection.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from multiprocessing.connection import Connection

from bench.assembly.session import BenchSession, RunSetup, open_tools
from bench.assembly.unit_judging import judge_alone
from bench.assembly.units import Unit
from bench.baselines.origins import kept_with_run
from bench.core.errors import BenchError
from bench.core.processes.garbage import few_collections
from bench.measuring.progress import append_to
from bench.plan.cell import Cell
from bench.plan.grid import Plan, with_bases
from bench.records.cases import Outcomes

__all__ = ["Message", "main"]


class Message:
    """A unit on its way to a process: the ids of what is in it."""

    def __init__(self, plan: Plan) -> None:
        """`plan` is the same at both ends."""
        self._cells = {cell.id: cell for cell in plan.cells}
        self._sweeps = {sweep.id: sweep for sweep in plan.sweeps}
        self._orders = {order.id: order for order in plan.orders}

    @staticmethod
    def of(unit: Unit) -> bytes:
        """The bytes of `unit`."""
        parts = (unit.cells, unit.sweeps, unit.orders)
        return json.dumps([[one.id for one in part] for part in parts]).encode("utf-8")

    def read(self, message: bytes) -> Unit:
        """The unit of which these are the bytes."""
        cells, sweeps, orders = json.loads(message)
        return Unit(
            tuple(self._cells[name] for name in cells),
            tuple(self._sweeps[name] for name in sweeps),
            tuple(self._orders[name] for name in orders),
        )


def main() -> None:
    """Serve until the connection ends."""
    connection = Connection(int(sys.argv[1]))
    try:
        _serve(connection)
    except (EOFError, KeyboardInterrupt):
        return
    except BenchError as error:
        # The end of this process's log, which the controller shows.
        sys.exit(str(error))


def _serve(connection: Connection) -> None:
    session = BenchSession(RunSetup.from_json(connection.recv_bytes().decode("utf-8")))
    messages, setup = Message(session.plan), session.setup
    with (
        few_collections(),
        open_tools(setup, session.run, append_to(session.run.progress)) as tools,
    ):
        baselines = kept_with_run(session.run)
        connection.send_bytes(b"")
        while True:
            unit = messages.read(connection.recv_bytes())
            engine = tools.engine(setup.config, _wanted(unit))
            outcomes = Outcomes(cases=tuple(judge_alone(unit, session, engine.record, baselines)))
            connection.send_bytes(outcomes.model_dump_json().encode("utf-8"))


def _wanted(unit: Unit) -> Iterable[Cell]:
    """The cells of `unit`, and what they are compared with."""
    named = [*unit.cells, *(cell for order in unit.orders for cell in order.cells)]
    return with_bases(named)
