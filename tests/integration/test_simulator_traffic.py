"""The simulator's AXI counts against those an FVP gave for the same compiled models."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from targets.simulator.simulator import Simulator

MODEL = "kws_micronet_m"
EVENTS = {
    "axi0_rd_beats": "AXI0_RD_DATA_BEAT_RECEIVED",
    "axi0_wr_beats": "AXI0_WR_DATA_BEAT_WRITTEN",
    "axi1_rd_beats": "AXI1_RD_DATA_BEAT_RECEIVED",
}
MACS = (32, 64, 128, 256)

directory = os.environ.get("BENCH_REFERENCE")

pytestmark = pytest.mark.skipif(
    directory is None,
    reason="BENCH_REFERENCE is not set to the directory of published figures and the compiled "
    "models they belong to: AXI counts are NOT compared with the FVP's",
)


def published(macs: int) -> dict[str, int]:
    """Event name -> beats the FVP counted for the model at `macs`."""
    with (Path(directory or "") / "published.csv").open(newline="", encoding="utf-8") as file:
        (row,) = (
            row
            for row in csv.DictReader(file)
            if row["model"] == MODEL
            and row["macs"] == str(macs)
            and row["measured_on"].startswith("FVP Corstone-300 11")
        )
    return {event: int(row[column]) for column, event in EVENTS.items()}


def counters(macs: int) -> Mapping[str, int]:
    """Event name -> beats the simulator counts for the model at `macs`."""
    return Simulator(Path(directory or "") / f"{MODEL}_u55_{macs}.tflite").traffic.counters


@pytest.mark.parametrize("macs", MACS)
@pytest.mark.parametrize("event", EVENTS.values())
def test_counts_are_the_fvps(macs: int, event: str) -> None:
    counted = counters(macs)[event]
    expected = published(macs)[event]
    # 2 % is what is promised; today the difference is 0, and a new rule that ends that needs
    # better evidence than these twelve figures.
    assert counted == pytest.approx(expected, rel=0.02)
    assert counted == expected


@pytest.mark.parametrize("macs", MACS)
def test_nothing_is_written_to_flash(macs: int) -> None:
    assert counters(macs)["AXI1_WR_DATA_BEAT_WRITTEN"] == 0
