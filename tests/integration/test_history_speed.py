"""What the history costs, measured as `python -m benchmarks.history_store` does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.benchmark_runs import run_benchmark
from tests.support.promises import Costs, hold

pytestmark = pytest.mark.speed

#: Milliseconds.
PROMISED = Costs(times={"query": 100, "pattern_query": 100, "append": 10, "append_beside": 10})


def test_a_history_of_100_000_figures_is_asked_and_extended_at_once(tmp_path: Path) -> None:
    def measure() -> Costs:
        run = run_benchmark(tmp_path, "history_store")
        costs = run.results
        assert costs is not None, run.output
        assert costs["rows"] >= 100_000
        assert costs["lost"] == 0, "two writers at once lost a run"
        times = {name: costs[name] for name in PROMISED.times}
        kept = all(times[name] <= most for name, most in PROMISED.times.items())
        assert (costs["kept"], run.returncode) == (kept, int(not kept)), run.output
        return Costs(times=times)

    hold(measure, PROMISED)
