"""What a warm cell costs, in calls of functions: the same on every machine, unlike seconds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from tests.support.bench_runs import Judging
from tests.support.models.tflite_factory import mlp

#: Notes how many functions were called in each process that judges, and in the controller.
COUNTING = """
import atexit, cProfile, json, sys
from pathlib import Path

words = " ".join(sys.orig_argv)
name = "pool" if "unit_worker" in words else "controller" if "--bench-packaged" in words else ""
if name:
    profile = cProfile.Profile()

    def note():
        profile.disable()
        calls = sum(one.callcount for one in profile.getstats())
        Path({notes!r}, name).write_text(json.dumps(calls))

    atexit.register(note)
    profile.enable()
"""
GRID = """
[grid]
macs = [64, 128]
memory_modes = ["Shared_Sram", "Sram_Only"]
targets = ["sim"]
"""
CELLS = 4
FEW, MANY = 2, 10
#: Calls for each cell, with its share of its workload: half as many again as they are.
MOST = {"pool": 11_000, "controller": 12_000}


def calls(directory: Path, workloads: int) -> dict[str, int]:
    """How many functions were called for a grid of so many workloads, by process."""
    runner = Judging(directory, "cells", directory / "cache")
    notes, site = directory / "notes", directory / "site"
    for made in (notes, site):
        made.mkdir(exist_ok=True)
    text = COUNTING.format(notes=str(notes))
    (site / "sitecustomize.py").write_text(text, encoding="utf-8")
    names = "".join(f'[workloads.net{i}]\nmodel = "net.tflite"\n' for i in range(workloads))
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    environment = runner.environment() | {"PYTHONPATH": path}
    runner.environment = lambda: environment  # type: ignore[method-assign]
    config = runner.write_config(GRID + names)
    run = runner.run(config, "-n", "1", "--no-bench-ci")
    assert len(run.records()) == workloads * CELLS, run.output
    return {path.name: json.loads(path.read_text("utf-8")) for path in notes.iterdir()}


def test_a_warm_cell_costs_no_more_calls_than_it_did(tmp_path: Path) -> None:
    weights = [np.random.default_rng(5).integers(-127, 128, (10, 32), dtype=np.int8)]
    (tmp_path / "net.tflite").write_bytes(mlp(weights, softmax=False))
    # The first run makes the products.
    _, few, many = (calls(tmp_path, count) for count in (FEW, FEW, MANY))
    cells = (MANY - FEW) * CELLS
    each = {name: (many[name] - few[name]) / cells for name in many}
    assert set(each) == set(MOST)
    for name, most in MOST.items():
        assert each[name] < most, each
