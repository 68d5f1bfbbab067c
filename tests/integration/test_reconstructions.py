"""The cycle model on a network that was built again: published FVP figures it was not made for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from benchmarks.published_rows import fvp_rows
from benchmarks.reconstructions import Compiled, built, compiled, sweeps
from targets.ethos_u55.accelerators import Accelerator

NETWORK = "rnnoise_INT8"
#: A promise for networks that are known; these are guessed at, but not by more.
LIMIT = 0.03

CompiledFor = Callable[[Accelerator], Compiled]


@pytest.fixture(scope="module")
def rnnoise(tmp_path_factory: pytest.TempPathFactory) -> CompiledFor:
    """RNNoise with random weights, compiled by the installed Vela."""
    model = built(NETWORK, tmp_path_factory.mktemp("rnnoise"))
    return cache(lambda macs: compiled(model, macs))


@pytest.mark.parametrize("macs", list(Accelerator), ids=str)
def test_rnnoise_is_as_fast_as_on_the_fvp(rnnoise: CompiledFor, macs: Accelerator) -> None:
    (row,) = (each for each in fvp_rows(NETWORK) if each.macs is macs)
    ours = rnnoise(macs)
    assert row.npu_active_cycles is not None
    assert ours.cycles() == pytest.approx(row.npu_active_cycles, rel=LIMIT)
    assert ours.beats[2] == pytest.approx(row.axi1_rd_beats, rel=0.005), "another encoding"


def test_rnnoise_follows_the_fvp_to_other_memories(rnnoise: CompiledFor) -> None:
    swept = [row for row in sweeps() if row.model == NETWORK]
    errors = {row: rnnoise(row.macs).cycles(row.profile) / row.npu_active - 1 for row in swept}
    assert len(errors) == 4
    for row, error in errors.items():
        # Where the flash no longer holds everything up, what an operation costs shows.
        assert abs(error) < (0.01 if row.ext_bwcap <= 50 else 0.1), row


def test_what_is_not_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError, match="exit status 2"):
        built("nonsense", tmp_path)
    assert not list(tmp_path.iterdir())
