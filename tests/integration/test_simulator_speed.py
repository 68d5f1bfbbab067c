"""The simulator's promises of speed and memory, measured as `make speed` does on more models.

In processor time, so that a busy machine does not matter. Today the margins are 15 (many small
layers), 3 (the least of all five) and, for a single inference, 6 (`benchmarks/README.md`).
"""

from __future__ import annotations

import pytest

from benchmarks.simulator_speed import measure
from targets.ethos_u55.accelerators import Accelerator
from tests.support.models.vela_files import zoo


@pytest.mark.parametrize("name", ["ad01_int8", "kws_ref_model", "vww_96_int8"])
def test_no_promise_is_broken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # TFLite-Micro has one thread; BLAS reads this when a child loads it.
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    timing = measure(zoo() / f"{name}.tflite", Accelerator.U55_128)
    assert timing.kept, f"TFLite-Micro, batch, single in ms, prepare, memory: {timing}"
