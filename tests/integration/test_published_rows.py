"""docs/published.md: every published row is there, and as close as it is promised to be."""

from __future__ import annotations

import csv
import re

import pytest

from tests.support.bench_runs import ROOT

PAGE = (ROOT / "docs" / "published.md").read_text(encoding="utf-8")
#: Its tables are kept current by test_fidelity.py, which has what they are made from.
FIDELITY = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")
PUBLISHED = ROOT / "bench" / "report" / "data" / "published.csv"
SWEEPS = ROOT / "benchmarks" / "adapter_sweeps.csv"
#: Per cent, by what our network has in common with the published one.
BOUNDS = {
    "same artefact": 2.0,
    "rebuilt": 3.0,
    "same shape and size": 3.0,
    "same network": 2.0,
    "other adapters": 4.0,
}
#: Rows that the page says resist, by network, MACs and published cycles, and their own bounds.
RESISTING = {
    ("vww4_128_128_INT8", "32", "2,293,392"): 5.0,
    ("kws_micronet_m", "256", "342,604"): 10.0,
    ("ad_medium_int8", "256", "1,107,190"): 8.0,
    ("rnnoise_INT8", "256", "33,968"): 9.0,
}

Row = dict[str, str]


def table(name: str) -> list[Row]:
    """The rows of a table between its markers, by title."""
    found = re.search(f"<!-- figures: {name} -->\n(.*?)\n<!-- end of figures -->", PAGE, re.DOTALL)
    assert found is not None
    lines = [line for line in found[1].splitlines() if line.startswith("|")]
    head, _, *rows = [line.strip("| ").split(" | ") for line in lines]
    return [dict(zip(head, row, strict=True)) for row in rows]


ROWS = table("every-row")


def key(row: Row) -> tuple[str, str, str]:
    return row["Network"], row["MACs"], row["Published"]


def percent(text: str) -> float:
    return abs(float(text.rstrip("%")))


def test_no_published_row_is_left_out() -> None:
    wanted = set()
    with PUBLISHED.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            ours = f"mnist_fc {row['variant']}"
            name = ours if row["workload"] == "mnist_fc" else row["model"]
            if row["npu_active_cycles"]:
                wanted.add((name, row["macs"], f"{int(row['npu_active_cycles']):,}"))
    with SWEEPS.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            wanted.add((row["model"], row["macs"], f"{int(row['npu_active_cycles']):,}"))
    assert set(map(key, ROWS)) == wanted
    # The article does not say which port fetched the commands, so its rows are there twice.
    assert len({(*key(row), row["Condition"]) for row in ROWS}) == len(ROWS) == len(wanted) + 4


@pytest.mark.parametrize(
    ("name", "condition", "column"),
    [
        ("kws", "Vela 5.0.0", "{} MACs"),
        ("fc-stream-on-axi0", "commands on AXI0", ""),
        ("fc", "commands on AXI1", ""),
    ],
)
def test_it_agrees_with_the_page_that_is_kept_current(
    name: str, condition: str, column: str
) -> None:
    elsewhere = {
        cells[0]: cells[2]
        for line in FIDELITY.partition(f"<!-- figures: {name} -->\n")[2].splitlines()[2:6]
        if (cells := line.strip("| ").split(" | "))
    }
    here = {}
    for row in ROWS:
        label = row["Network"].replace("mnist_fc ", "mnist_fc, ")
        label += f", {column.format(row['MACs'])}" if column else ""
        if label in elsewhere and row["Condition"] == condition:
            here[label] = row["`sim`"]
    assert here == elsewhere
    assert len(here) == 4


def test_the_errors_are_those_of_the_cycles() -> None:
    for row in ROWS:
        ours, theirs = (int(row[name].replace(",", "")) for name in ("`sim`", "Published"))
        assert row["Error"] == f"{ours / theirs - 1:+.1%}", row


@pytest.mark.parametrize("row", ROWS, ids=[" ".join((*key(row), row["Condition"])) for row in ROWS])
def test_a_row_is_within_its_bound(row: Row) -> None:
    if row["Ours is"] == "older Vela":
        assert key(row) not in RESISTING
        return
    bound, error = BOUNDS[row["Ours is"]], percent(row["Error"])
    if key(row) in RESISTING:
        assert bound < error <= RESISTING[key(row)], "it resists no more, or is worse than it was"
    else:
        assert error <= bound


def test_the_greatest_error_is_below_a_third_of_velas() -> None:
    rows = [row for row in ROWS if row["Ours is"] in list(BOUNDS)[:3]]
    assert len(rows) == 29
    ours, vela = (max(percent(row[title]) for row in rows) for title in ("Error", "Vela"))
    assert 3 * ours < vela


def test_each_network_is_predicted_by_what_the_others_choose() -> None:
    left_out = table("without")
    assert {row["Left out"] for row in left_out} == {
        row["Network"].split(" ")[0] for row in ROWS if row["Ours is"] in list(BOUNDS)[:3]
    }
    for row in left_out:
        assert percent(row["Greatest error then"]) <= percent(row["now"]) + 1.0, row
