"""The judge of a run, over records that are made here or come from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from bench.assembly.session import BenchSession, abilities, open_tools
from bench.baselines.accepted import BaselineSet
from bench.baselines.origins import kept_with_run
from bench.judging.judge import Judge
from bench.judging.policy import Policy
from bench.judging.suites import reproduce_command
from bench.measuring.planning import plan_cells
from bench.measuring.progress import append_to
from bench.measuring.training_ahead import TrainingAhead
from bench.plan.cell import Cell
from bench.records.record import Record

__all__ = ["judge_of", "open_judge"]


@contextmanager
def open_judge(
    session: BenchSession, wanted: Iterable[Cell], ahead: Iterable[Cell] = ()
) -> Iterator[Judge]:
    """The judge of the run in this process, for the cells `wanted`; see `open_tools`.

    The models of the cells `ahead` are trained in their order while others are measured.
    """
    setup = session.setup
    with open_tools(setup, session.run, append_to(session.run.progress)) as tools:
        baselines = kept_with_run(session.run)
        plans = plan_cells(setup.config, ahead, abilities(setup, tools.targets))
        with TrainingAhead(tools.models, plans.values(), tools.builder.stop) as models:
            engine = replace(tools, models=models).engine(setup.config, wanted)
            yield judge_of(session, engine.record, baselines)


def judge_of(
    session: BenchSession, measure: Callable[[Cell], Record], baselines: BaselineSet
) -> Judge:
    """A judge of records that `measure` makes or has, against the accepted figures `baselines`."""
    setup = session.setup

    def reproduce(metric: str, subject: str) -> str:
        return reproduce_command(metric, subject, setup.extra_arguments, setup.program)

    policy = Policy(setup.failing)
    return Judge(setup.config, measure, session.run, reproduce, baselines, policy)
