"""The default grid on machines that share nothing but a network, compared with one machine."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bench.plan.config import TrainedWorkload, load_config
from tests.support.bench_runs import ROOT, BenchRunner
from tests.support.clusters import client_of, cluster_of_three, figures

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")


@pytest.mark.parametrize(
    ("chosen", "cells"),
    [
        pytest.param(["mnist_fc"], 32, marks=pytest.mark.slow, id="a half"),
        pytest.param(["mnist_fc", "mnist_ds_cnn"], 64, marks=pytest.mark.long, id="all"),
    ],
)
def test_the_default_grid_is_the_same_and_each_variant_is_trained_once(
    tmp_path: Path, chosen: list[str], cells: int
) -> None:
    text = (ROOT / "bench.toml").read_text(encoding="utf-8")
    text = text.replace("[grid]\n", f"[grid]\nworkloads = {chosen}\n", 1)
    with cluster_of_three(tmp_path / "cluster") as machines:
        client = client_of(machines)
        config = client.write_config(text)
        run = client.run(config, f"--bench-cluster={machines.address}", timeout=1200)
    workloads = load_config(config).workloads
    variants = [
        f"{name}-{variant}"
        for name, workload in workloads.items()
        if name in chosen and isinstance(workload, TrainedWorkload)
        for variant in workload.variants
    ]
    assert Counter(task for kind, task in run.work() if kind == "train") == Counter(variants)
    assert run.directory.unmeasured().found == ()

    (tmp_path / "alone").mkdir()
    runner = BenchRunner(tmp_path / "alone")
    alone = runner.run(runner.write_config(text), "-n", "2", timeout=1200)
    assert len(alone.records()) == cells
    assert figures(run) == figures(alone)
    assert run.outcomes() == alone.outcomes()
    assert run.returncode == alone.returncode, run.output
