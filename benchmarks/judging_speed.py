"""What verdicts cost: a grid of many cells, each judged by limits and against accepted figures.

`python -m benchmarks.judging_speed RECORD` judges `--cells` cells like that of a run's record, as
`pytest -n auto` does: divided among as many processes as there are cores. It prints the processor
time of all of them and of the slowest, which a user waits for. The exit status is 1 if the promise
is broken: 10,000 cells in at most 2 s.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bench.baselines.accepted import Baselines
from bench.baselines.accepting import accept
from bench.judging.baseline import judge_against_accepted
from bench.judging.policy import Policy
from bench.judging.suites import reproduce_command
from bench.judging.verdicts import judge_cell
from bench.plan.config import BaselineConfig, LimitRule
from bench.plan.metrics import MetricName
from bench.records.reading import read_record
from bench.records.record import Record
from benchmarks.json_file import add_json_option, write_json

#: Seconds of processor time, and for how many cells.
PROMISE_S, PROMISED = 2.0, 10_000
RULES = (
    LimitRule(metric=MetricName.NPU_CYCLES, max=1e12),
    LimitRule(metric=MetricName.ENCODED_WEIGHTS, max=1e12, max_ratio_to_base=1.5),
)


def cells_like(record: Record, count: int) -> list[Record]:
    """`count` cells that were measured like `record`."""
    return [
        record.model_copy(
            update={"cell": record.cell.model_copy(update={"id": f"{record.cell.id}_{i}"})}
        )
        for i in range(count)
    ]


def judging_seconds(records: list[Record], baselines: Baselines) -> tuple[float, int]:
    """Processor time of judging all of `records`, and how many verdicts that gave."""
    config, policy = BaselineConfig(), Policy.in_ci()
    start, verdicts = time.process_time(), 0
    for record in records:
        compared = judge_against_accepted(record, baselines, config, 0.5, reproduce_command)
        said = {verdict.metric for verdict in compared}
        limited = judge_cell(record, record, RULES, reproduce_command, "", said, covered=True)
        verdicts += len(policy.applied((*limited, *compared)))
    return time.process_time() - start, verdicts


def best_of(record: Record, count: int, repeats: int) -> tuple[float, int]:
    """The least processor time, over `repeats`, of judging `count` cells like `record`."""
    records = cells_like(record, count)
    today = datetime.date.today()
    baselines = accept(Baselines(origin="o"), records, (), reason="r", today=today).after
    return min(judging_seconds(records, baselines) for _ in range(repeats))


def main() -> int:
    """Returns 1 if the promise is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("record", type=Path, help="a record of a run: results/latest/cells/ID.json")
    parser.add_argument("--cells", type=int, default=PROMISED)
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many counts")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    add_json_option(parser)
    arguments = parser.parse_args()
    share = -(-arguments.cells // arguments.processes)
    record = read_record(arguments.record, Record)
    with ProcessPoolExecutor(arguments.processes) as pool:
        waiting = [
            pool.submit(best_of, record, share, arguments.repeats)
            for _ in range(arguments.processes)
        ]
        parts = [one.result() for one in waiting]
    verdicts = sum(verdicts for _, verdicts in parts)
    in_all, slowest = sum(seconds for seconds, _ in parts), max(seconds for seconds, _ in parts)
    scale = PROMISED / (share * arguments.processes)
    cells = share * arguments.processes
    print(
        f"{cells:,} cells, {verdicts:,} verdicts: {in_all:.2f} s of processor time in "
        f"{arguments.processes} processes"
    )
    for_all = slowest * scale
    print(f"{PROMISED:,} cells: {for_all:.2f} s in the slowest, at most {PROMISE_S} s")
    write_json(arguments.json, {"seconds": for_all, "in_all": in_all * scale, "verdicts": verdicts})
    return 0 if for_all <= PROMISE_S else 1


if __name__ == "__main__":
    sys.exit(main())
