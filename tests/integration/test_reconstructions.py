"""The cycle model on a network that was built again: published FVP figures it was not made for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.benchmark_runs import run_benchmark

NETWORK = "rnnoise_INT8"
#: A promise for networks that are known; these are guessed at, but not by more.
LIMIT = 0.03


@pytest.fixture(scope="module")
def rnnoise(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """RNNoise with random weights, compiled by the installed Vela, beside what is published."""
    directory = tmp_path_factory.mktemp("rnnoise")
    run = run_benchmark(directory, "reconstructions", "--network", NETWORK)
    assert run.returncode == 0, run.output
    results: dict[str, Any] = run.results
    return results


@pytest.mark.parametrize("macs", [32, 64, 128, 256])
def test_rnnoise_is_as_fast_as_on_the_fvp(rnnoise: dict[str, Any], macs: int) -> None:
    [row] = [row for row in rnnoise["rows"] if row["macs"] == macs]
    assert row["model"] == NETWORK
    ours, published = row["ours"], row["published"]
    assert ours["npu_active"] == pytest.approx(published["npu_active"], rel=LIMIT)
    assert ours["axi1_read"] == pytest.approx(published["axi1_read"], rel=0.005), "other encoding"


def test_rnnoise_follows_the_fvp_to_other_memories(rnnoise: dict[str, Any]) -> None:
    assert len(rnnoise["sweeps"]) == 4
    for row in rnnoise["sweeps"]:
        published = row["published"]
        error = row["ours"] / published["npu_active"] - 1
        # Where the flash no longer holds everything up, what an operation costs shows.
        assert abs(error) < (0.01 if published["ext_bwcap"] <= 50 else 0.1), row


def test_what_is_not_a_network_is_refused(tmp_path: Path) -> None:
    run = run_benchmark(tmp_path, "reconstructions", "--network", "nonsense")
    assert run.returncode == 2
    assert NETWORK in run.output, "the networks there are"
    assert run.results is None
