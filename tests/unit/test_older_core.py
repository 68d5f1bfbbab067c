"""Reports of Vela's older core, read as those of the present one."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.compiler.csv_text import Table, parse_summary
from bench.compiler.older_core import is_of_older_core, older_layers, older_summary
from bench.core.errors import CompilerError
from bench.core.text import one_line

HEADER = (
    "TFLite_operator,NNG Operator,SRAM Usage,Peak%,Op Cycles,Network%,NPU,SRAM AC,DRAM AC,"
    "OnFlash AC,OffFlash AC,MAC Count,Network%,Util%,Name\r\n"
)
# Of what Vela 4.5.0 wrote about kws_ref_model, with a name of our own in the second row.
ROWS = (
    "CONV_2D,Conv2DBias,12928,58.550724637681164,21994.0,25.99625315438304,21994.0,3560.0,0.0,0.0,"
    "0.0,480000,16.99240156443377,17.05010457397472,relu;conv2d/Conv2D1\r\n"
    "AVERAGE_POOL_2D,AvgPool,8192,37.1,1316.5,1.55,1316.5,11.333333333333332,0.0,0.0,0.0,8000,0.28,0.59,"
    '"a, ""quoted""\nname"\r\n'
)


def layers(text: str) -> Table:
    return older_layers(text, "net_per-layer.csv", "4.5.0")


def summary(**values: str) -> Table:
    text = ",".join(values) + "\r\n" + ",".join(values.values()) + "\r\n"
    return parse_summary(text, "net_summary.csv", "4.5.0")


def test_the_columns_have_the_names_of_the_present_core() -> None:
    table = layers(HEADER + ROWS)
    assert [table.text("Original Operator", row) for row in (0, 1)] == [
        "CONV_2D",
        "AVERAGE_POOL_2D",
    ]
    assert table.integer("Staging Usage") == 12928
    assert table.integer("Op Cycles") == 21994
    assert table.number("Util% (MAC)") == pytest.approx(17.05010457397472)
    assert table.integer("NPU", 1) == 1317
    assert table.integer("SRAM AC", 1) == 11
    assert table.text("Name", 1) == one_line('a, "quoted"\nname')
    assert "Target" not in table.columns


def test_each_subgraph_has_a_header_and_a_network_without_one_is_empty() -> None:
    assert len(layers(HEADER + ROWS + HEADER + ROWS).rows) == 4
    assert layers("").rows == ()


def test_cycles_with_a_point_tell_the_core() -> None:
    assert is_of_older_core(summary(cycles_total="84604.5", core_clock="500000000.0"))
    assert not is_of_older_core(summary(cycles_total="84604", core_clock="500000000.0"))


def test_counts_of_the_summary_are_whole_and_rates_are_as_they_were() -> None:
    table = older_summary(
        summary(
            cycles_total="84604.5",
            sram_total_bytes="295664.0",
            total_original_weights="23296",
            sram_memory_used="21.5625",
            sram_bandwidth="3.725290298461914",
            nn_macs="2824792",
        )
    )
    assert table.integer("cycles_total") == 84605
    assert table.integer("sram_total_bytes") == 295664
    assert table.integer("total_original_weights") == 23296
    assert table.kibibytes("sram_memory_used") == 22080
    assert table.number("sram_bandwidth") == 3.725290298461914


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEADER.replace("Op Cycles", "Cycles") + ROWS, "unknown columns"),
        (ROWS, "unknown columns"),
        (HEADER + "CONV_2D,Conv2DBias,1\r\n", "row 1: expected 15 fields, found 3"),
        (HEADER + ROWS.replace("21994.0", "nan"), "expected a whole number, found 'nan'"),
        (HEADER + ROWS.replace("21994.0", "-1.0"), "expected a whole number, found '-1.0'"),
        (HEADER + ROWS.replace("21994.0", "1e99"), "expected a whole number, found '1e99'"),
        (HEADER + '"' + ROWS, "not a CSV file"),
    ],
)
def test_what_is_not_of_this_form_is_refused_by_file_and_version(text: str, told: str) -> None:
    with pytest.raises(CompilerError) as caught:
        layers(text).integer("Op Cycles")
    assert "net_per-layer.csv" in caught.value.what
    assert told in caught.value.what
    assert "4.5.0" in caught.value.what


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_a_name_cannot_mislead_the_reader(names: list[str]) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    cells = ROWS.split("\r\n")[0].split(",")[:-1]
    for name in names:
        writer.writerow([*cells, name])
    table = layers(HEADER + written.getvalue())
    assert [table.text("Name", row) for row in range(len(table.rows))] == list(map(one_line, names))
