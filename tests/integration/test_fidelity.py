"""What the cycle model is promised to meet; the figures are in docs/fidelity.md."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.bench_runs import ROOT
from tests.support.benchmark_runs import BenchmarkRun, run_benchmark

#: As docs/fidelity.md promises it.
LIMIT = 0.03
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkRun:
    """Everything compared once; without the artefacts, what can be compared without them."""
    artefacts = [os.environ.get(name, "") for name in ("BENCH_REFERENCE", "BENCH_MODEL_ZOO")]
    given = artefacts if all(artefacts) else []
    return run_benchmark(tmp_path_factory.mktemp("fidelity"), "fidelity", "--check", *given)


def require_artefacts(run: BenchmarkRun) -> None:
    if run.results["missing"]:
        pytest.skip(
            "BENCH_REFERENCE and BENCH_MODEL_ZOO are not both set to the directories of the "
            "published artefacts and of their model: CYCLES ARE NOT COMPARED WITH THE FVP'S"
        )


def assert_promised(rows: Rows) -> None:
    """Four rows, each within the limit, and a smaller greatest error than Vela's."""
    assert len(rows) == 4
    ours, vela = (
        {row["label"]: abs(row[estimate] / row["published"] - 1) for row in rows}
        for estimate in ("ours", "vela")
    )
    assert {label: error for label, error in ours.items() if error > LIMIT} == {}
    assert max(ours.values()) < max(vela.values())


def test_kws_micronet_m_is_within_3_percent_of_every_fvp_row_and_better_than_vela(
    run: BenchmarkRun,
) -> None:
    require_artefacts(run)
    assert_promised(run.results["rows"]["kws"])


@pytest.mark.parametrize("ports", ["fc", "fc-stream-on-axi0"])
def test_mnist_fc_is_within_3_percent_of_every_fpga_row_and_better_than_vela(
    run: BenchmarkRun, ports: str
) -> None:
    # At equal encoded size, whichever port fetched the commands: the article does not say.
    assert_promised(run.results["rows"][ports])


def test_at_equal_encoded_size_mnist_fc_reads_the_published_beats_and_its_commands(
    run: BenchmarkRun,
) -> None:
    # Published in thousands, one row in hundreds. What is read beside them are the commands.
    rows = run.results["rows"]
    assert len(rows["fc"]) == 4
    for row, elsewhere in zip(rows["fc"], rows["fc-stream-on-axi0"], strict=True):
        assert abs(elsewhere["beats"] - row["published_beats"]) < 100
        assert 250 < row["beats"] - elsewhere["beats"] < 350


def test_each_row_is_predicted_by_what_the_others_decide(run: BenchmarkRun) -> None:
    require_artefacts(run)
    alone = [left for left in run.results["left_out"] if not left["whole_network"]]
    assert len(alone) == 8
    for left in alone:
        assert max(map(abs, left["errors"])) <= LIMIT, left
        assert left["as_decided"], left


def test_the_documented_figures_are_current(run: BenchmarkRun) -> None:
    require_artefacts(run)
    assert run.results["outdated"] == [], "run make fidelity"
    assert run.results["broken_promises"] == []
    assert run.returncode == 0, run.output


def test_the_figures_that_need_no_artefact_are_current_everywhere(run: BenchmarkRun) -> None:
    assert not {"fc", "fc-stream-on-axi0", "events"} & set(run.results["missing"])
    assert run.results["outdated"] == [], "run make fidelity"


def test_what_is_not_current_and_what_is_left_out_are_named_and_no_success(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")
    page.write_text(text.replace("| mnist_fc, base | ", "| mnist_fc, base | 1"), encoding="utf-8")
    run = run_benchmark(tmp_path, "fidelity", "--check", "--page", page)
    assert run.results["outdated"] == ["fc", "fc-stream-on-axi0"]
    assert "run make fidelity" in run.output
    assert run.results["missing"] == ["kws", "left-out", "assumptions"]
    assert "NOT COMPARED" in run.output
    assert run.returncode == 1


def test_the_page_is_not_written_without_the_artefacts(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_bytes((ROOT / "docs" / "fidelity.md").read_bytes())
    run = run_benchmark(tmp_path, "fidelity", "--page", page)
    assert run.returncode == 2
    assert "REFERENCE and ZOO are both needed" in run.output
    assert page.read_bytes() == (ROOT / "docs" / "fidelity.md").read_bytes()


@pytest.mark.parametrize("figures", ["kws", "nonsense"], ids=["one missing", "one unknown"])
def test_a_page_with_other_markers_is_refused(tmp_path: Path, figures: str) -> None:
    page = tmp_path / "page.md"
    text = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")
    page.write_text(text.replace("figures: events", f"figures: {figures}"), encoding="utf-8")
    run = run_benchmark(tmp_path, "fidelity", "--check", "--page", page)
    assert run.returncode == 2
    assert run.results is None
    assert f"'{figures}'" in run.output
