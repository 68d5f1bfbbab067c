"""Trained models are obtained in the order of the plan, once, while others are in use."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bench.core.errors import BuildError
from bench.measuring import testsets
from bench.measuring.origins import QuantisedModel
from bench.measuring.planning import CellPlan, Lack, plan_cells
from bench.measuring.training_ahead import TrainingAhead
from bench.plan.config import Workload, parse_config
from bench.plan.grid import make_plan
from targets.protocol import Capabilities, Source

CONFIG = """
[grid]
macs = [128]
memory_modes = ["Shared_Sram"]
targets = ["sim", "fvp"]
[workloads.net]
recipe = "mnist_fc"
[workloads.file]
model = "nowhere.tflite"
"""


class Models:
    """A source whose trainings last until they are let go on; they give no model."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.stopped = False

    def quantised(self, name: str, workload: Workload, variant: str) -> QuantisedModel:
        self.asked.append(f"{name}-{variant}")
        self.begun.release()
        assert self.go_on.acquire(timeout=60)
        raise BuildError(f"{name}-{variant} in {threading.current_thread().name}")

    def test_set(self, name: str, workload: Workload, model: QuantisedModel) -> testsets.TestSet:
        raise NotImplementedError

    def stop(self) -> None:
        self.stopped = True
        self.go_on.release()


def plans(absent: str = "") -> list[CellPlan]:
    config = parse_config(CONFIG, Path("/root/bench.toml"))
    able = {
        name: Lack("there is none", "buy one")
        if name in absent
        else Capabilities(
            name=name, source=Source.SIMULATED, events=frozenset(), executes_artefact=True
        )
        for name in ("sim", "fvp")
    }
    return list(plan_cells(config, make_plan(config).cells, able).values())


def test_whoever_asks_gets_what_the_thread_has_obtained() -> None:
    models, planned = Models(), plans()
    net = next(plan.workload for plan in planned if plan.cell.workload == "net")
    with TrainingAhead(models, planned, models.stop) as ahead:
        for _ in range(4):
            models.go_on.release()
        for variant in ("clustered", "base", "base"):
            with pytest.raises(BuildError, match=f"net-{variant} in training"):
                ahead.quantised("net", net, variant)
        assert len(models.asked) == 4
        # In the order of the plan, whatever was asked for first, and no file.
        order = [plan.cell.variant for plan in planned if plan.cell.workload == "net"]
        assert models.asked == [f"net-{variant}" for variant in dict.fromkeys(order)]
        models.go_on.release()
        with pytest.raises(BuildError, match="file-base in MainThread"):
            ahead.quantised("file", net, "base")


def test_leaving_ends_the_training_in_progress_and_begins_no_other() -> None:
    models = Models()
    with TrainingAhead(models, plans(), models.stop):
        assert models.begun.acquire(timeout=60)
    assert models.stopped
    assert len(models.asked) == 1


def test_nothing_is_trained_for_targets_that_are_not_there() -> None:
    models = Models()
    with TrainingAhead(models, plans(absent="sim, fvp"), models.stop):
        pass
    assert models.asked == []
    assert not models.stopped
