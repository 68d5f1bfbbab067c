"""What the simulator, an estimate and a job may cost, measured as `make speed` does on more models.

In processor time. `benchmarks/README.md` has the margins of today.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.benchmark_runs import run_benchmark
from tests.support.models.vela_files import zoo
from tests.support.promises import Costs, hold
from tests.support.report_runs import mixed_run

pytestmark = pytest.mark.speed

#: Many small layers; the least margin of all five models; the one whose single inference counts.
MODELS = ("ad01_int8", "kws_ref_model", "vww_96_int8")


@pytest.mark.parametrize("name", MODELS)
def test_the_simulator_keeps_its_promises(tmp_path: Path, name: str) -> None:
    """Ratios, and preparation, by the processor's time; ten times TFLite-Micro by machine code."""

    def measure() -> Costs:
        run = run_benchmark(tmp_path, "simulator_speed", zoo() / f"{name}.tflite")
        assert run.results is not None, run.output
        [timing] = run.results
        assert timing["model"] == name
        own, broken = timing["simulated"], set(timing["broken"])
        faster = 10 if own["compiled"] else 1
        return Costs(
            # What the benchmark calls broken on a slower machine are milliseconds.
            times={"preparation": own["prepare"] if "prepare" in broken else 0},
            ratios={
                "batch": own["batch"] * faster / timing["tflm"],
                "others broken": len(broken - {"prepare"}),
            },
        )

    promised = Costs(times={"preparation": 50}, ratios={"batch": 1, "others broken": 0})
    hold(measure, promised)


def test_an_estimate_costs_at_most_two_inferences(tmp_path: Path) -> None:
    arguments = (zoo() / "kws_ref_model.tflite", "--macs", "128", "--repeats", "5")

    def measure() -> Costs:
        run = run_benchmark(tmp_path, "timing_speed", *arguments)
        [cost] = run.results
        assert cost["worst"] == max(
            cost["first_estimate"] / cost["first_run"], cost["estimate"] / cost["run"]
        )
        assert run.returncode == (1 if cost["worst"] > 2 else 0), run.output
        return Costs(ratios={"an estimate to an inference": cost["worst"]})

    hold(measure, Costs(ratios={"an estimate to an inference": 2}))


def test_a_job_on_the_virtual_fvp_costs_little_more_than_the_simulator(tmp_path: Path) -> None:
    """Target `fvp` with all it does, against a process that runs the simulator and nothing else."""
    pytest.importorskip("unicorn", reason="the package unicorn is missing: jobs NOT run")
    model = zoo() / "vww_96_int8.tflite"

    def measure() -> Costs:
        run = run_benchmark(tmp_path, "fvp_round_trip", model, "--tries", "2")
        [cost] = run.results
        return Costs(times={"beyond two runs": cost["round_trip"] - 2 * cost["simulator"]})

    hold(measure, Costs(times={"beyond two runs": 0.2}))


def test_ten_thousand_cells_are_judged_in_two_seconds(tmp_path: Path) -> None:
    """By as many processes as there are cores, as the main job does it."""
    record = (
        Path(__file__).parents[2]
        / "tests/unit/data/schema_1/cells/mnist_fc-pruned-u55_128-shared_sram-sim.json"
    )

    def measure() -> Costs:
        run = run_benchmark(tmp_path, "judging_speed", record, "--cells", "2000")
        assert run.results is not None, run.output
        assert run.returncode == (1 if run.results["seconds"] > 2 else 0), run.output
        return Costs(times={"10,000 cells": run.results["seconds"]})

    # Where two cores share a cache, this code loses more by it than the yardstick: up to half.
    hold(measure, Costs(times={"10,000 cells": 2 * 1.5}), processes=os.cpu_count() or 1)


@pytest.mark.slow
def test_the_reports_of_many_cells_keep_their_promises(tmp_path: Path) -> None:
    """The page, JUnit and the terminal's end of 10,000 cells, from records of a run with layers."""
    run = mixed_run(tmp_path / "results")

    def measure() -> Costs:
        done = run_benchmark(tmp_path, "report_speed", run.path)
        found = done.results
        assert found is not None, done.output
        assert found["cells"] == 10_000
        for cost in found["reports"].values():
            if cost["promised_mb"] is not None:
                assert cost["megabytes"] <= cost["promised_mb"], done.output
        return Costs(
            times={name: cost["seconds"] for name, cost in found["reports"].items()},
            ratios={"a record to its JSON": found["read_to_json"]},
        )

    seconds = {"page": 15, "JUnit": 5, "end": 1}
    hold(measure, Costs(times=seconds, ratios={"a record to its JSON": 3}))
