"""What the cycle model is promised to meet; the figures are in docs/fidelity.md."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks import fidelity
from benchmarks.published_rows import (
    CHOICES,
    DRIVER,
    STREAM_ON_AXI0,
    fc_rows,
    kws_rows,
    leave_one_out,
)
from targets.ethos_u55.ports import PortMap
from targets.simulator.timing.assumptions import DECIDED


def artefacts() -> tuple[Path, Path]:
    """The directories of the published artefacts and of the model they were compiled from."""
    reference, zoo = os.environ.get("BENCH_REFERENCE"), os.environ.get("BENCH_MODEL_ZOO")
    if not reference or not zoo:
        pytest.skip(
            "BENCH_REFERENCE and BENCH_MODEL_ZOO are not both set to the directories of the "
            "published artefacts and of their model: CYCLES ARE NOT COMPARED WITH THE FVP'S"
        )
    return Path(reference), Path(zoo)


def test_kws_micronet_m_is_within_3_percent_of_every_fvp_row_and_better_than_vela() -> None:
    rows = kws_rows(*artefacts())
    assert len(rows) == 4
    assert {row.label: row.error for row in rows if abs(row.error) > fidelity.LIMIT} == {}
    assert max(abs(row.error) for row in rows) < max(abs(row.vela_error) for row in rows)


@pytest.mark.parametrize(
    "ports", [DRIVER, STREAM_ON_AXI0], ids=["driver's ports", "stream on AXI0"]
)
def test_mnist_fc_is_within_3_percent_of_every_fpga_row_and_better_than_vela(
    ports: PortMap,
) -> None:
    # At equal encoded size, whichever port fetched the commands: the article does not say.
    rows = fc_rows(ports=ports)
    assert len(rows) == 4
    assert {row.label: row.error for row in rows if abs(row.error) > fidelity.LIMIT} == {}
    assert max(abs(row.error) for row in rows) < max(abs(row.vela_error) for row in rows)


def test_at_equal_encoded_size_mnist_fc_reads_the_published_beats_and_its_commands() -> None:
    # Published in thousands, one row in hundreds. What is read beside them are the commands.
    for row, elsewhere in zip(fc_rows(), fc_rows(ports=STREAM_ON_AXI0), strict=True):
        assert row.published_beats is not None
        assert abs(elsewhere.beats - row.published_beats) < 100
        assert 250 < row.beats - elsewhere.beats < 350


def test_each_row_is_predicted_by_what_the_others_decide() -> None:
    reference, zoo = artefacts()
    rows = {c: [*kws_rows(reference, zoo, c), *fc_rows(c)] for c in CHOICES}
    for left in leave_one_out(rows):
        if not left.whole_network:
            assert max(map(abs, left.errors)) <= fidelity.LIMIT, left
            assert DECIDED in left.choices, left


def test_the_documented_figures_are_current() -> None:
    text, broken = fidelity.tables(*artefacts())
    assert broken == []
    page = fidelity.PAGE.read_text(encoding="utf-8")
    assert fidelity.filled(page, text) == page, "run make fidelity"


def test_the_documented_events_are_current() -> None:
    # Needs no artefact, so it is looked at everywhere.
    page = fidelity.PAGE.read_text(encoding="utf-8")
    assert fidelity.event_table() in page, "run make fidelity"


def test_a_page_without_a_figure_for_its_marker_is_refused() -> None:
    with pytest.raises(KeyError, match="nonsense"):
        fidelity.filled("<!-- figures: nonsense -->\n<!-- end of figures -->", {})
