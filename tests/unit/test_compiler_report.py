"""The parser of Vela's CSV files: exact values, hostile names, and errors that say where."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.compiler import Placement, VelaReport, read_report
from bench.compiler.csv_text import LAYER_COLUMNS, parse_layers, parse_summary
from bench.compiler.report import build_report, per_layer_name, summary_name
from bench.core.errors import CompilerError
from bench.core.text import one_line

SYSTEM = "Ethos_U55_High_End_Embedded"

# What Vela 5.2.0 wrote about one fully connected layer of 8 inputs and 4 outputs.
SUMMARY = {
    "experiment": "default",
    "network": "odd",
    "accelerator_configuration": "Ethos_U55_128",
    "system_config": SYSTEM,
    "memory_mode": "Shared_Sram",
    "core_clock": "500000000.0",
    "arena_cache_size": "4194304.0",
    "sram_bandwidth": "3.725290298461914",
    "dram_bandwidth": "3.725290298461914",
    "on_chip_flash_bandwidth": "3.725290298461914",
    "off_chip_flash_bandwidth": "0.46566128730773926",
    "weights_storage_area": "Off-chip Flash",
    "feature_map_storage_area": "SRAM",
    "inferences_per_second": "3472222.2222222225",
    "batch_size": "1",
    "inference_time": "2.88e-07",
    "passes_before_fusing": "1",
    "passes_after_fusing": "1",
    "sram_memory_used": "0.03125",
    "dram_memory_used": "0.0",
    "on_chip_flash_memory_used": "0.0",
    "off_chip_flash_memory_used": "0.140625",
    "total_original_weights": "32",
    "total_npu_encoded_weights": "96",
    "sram_feature_map_read_bytes": "16",
    "sram_feature_map_write_bytes": "16",
    "sram_weight_read_bytes": "0",
    "sram_weight_write_bytes": "0",
    "sram_total_bytes": "32",
    **{
        f"{area}_{what}_bytes": "0"
        for area in ("dram", "on_chip_flash", "off_chip_flash")
        for what in (
            "feature_map_read",
            "feature_map_write",
            "weight_read",
            "weight_write",
            "total",
        )
    },
    "off_chip_flash_weight_read_bytes": "96",
    "off_chip_flash_total_bytes": "144",
    "nn_macs": "32",
    "nn_tops": "0.00022222222222222223",
    "cycles_npu": "113",
    "cycles_sram_access": "4",
    "cycles_dram_access": "0",
    "cycles_on_chip_flash_access": "0",
    "cycles_off_chip_flash_access": "144",
    "cycles_total": "144",
}
UNREAD = {
    "experiment",
    "weights_storage_area",
    "feature_map_storage_area",
    "inferences_per_second",
    "passes_after_fusing",
    "nn_tops",
}
NPU_ROW = ["FullyConnected", "FullyConnected", "NPU", "32", "100.0", "144", "100.0"]
NPU_ROW += ["113", "4", "0", "0", "144", "32", "100.0", "0.1736111111111111"]
FUSED_ROW = ["FullyConnected", "Relu", "NPU", "0", "0.0", "0", "0.0"]
FUSED_ROW += ["0", "0", "0", "0", "0", "0", "0.0", "100"]
CPU_ROW = ["Custom", "Passthrough", "CPU", "0", "NaN", "0", "100"]
CPU_ROW += ["0", "0", "0", "0", "0", "0", "100", "100"]


def summary_text(values: dict[str, str]) -> str:
    return ",".join(values) + "\r\n" + ",".join(values.values()) + "\r\n"


def layers_text(rows: list[list[str]]) -> str:
    return "".join(",".join(row) + "\n" for row in [list(LAYER_COLUMNS), *rows])


def report(summary: str, layers: str) -> VelaReport:
    return build_report(
        parse_summary(summary, "net_summary.csv", "5.2.0"),
        parse_layers(layers, "net_per-layer.csv", "5.2.0"),
    )


def test_sizes_are_exact_bytes_and_rates_are_in_si_units() -> None:
    parsed = report(summary_text(SUMMARY), layers_text([[*NPU_ROW, "out"]]))
    assert parsed.sram.used_bytes == 32
    assert parsed.off_chip_flash.used_bytes == 144
    assert parsed.arena_cache_bytes == 2**32
    assert parsed.original_weights_bytes == 32
    assert parsed.encoded_weights_bytes == 96
    assert parsed.core_clock_hz == 500e6
    # 8 bytes a cycle at 500 MHz, and an eighth of it.
    assert parsed.sram.bandwidth_bytes_per_s == 4e9
    assert parsed.off_chip_flash.bandwidth_bytes_per_s == 0.5e9
    assert parsed.inference_time_s == pytest.approx(parsed.cycles_total / parsed.core_clock_hz)
    assert parsed.off_chip_flash.weight_read_bytes == 96
    assert parsed.off_chip_flash.total_bytes == 144
    assert parsed.off_chip_flash.access_cycles == 144
    (layer,) = parsed.layers
    assert (layer.op_cycles, layer.npu_cycles, layer.off_chip_flash_cycles) == (144, 113, 144)
    assert layer.mac_utilisation == pytest.approx(32 / (144 * 128))


@given(st.integers(min_value=0, max_value=2**42))
def test_every_byte_count_survives_the_detour_through_kib(size: int) -> None:
    values = SUMMARY | {"sram_memory_used": str(size / 1024.0)}
    parsed = report(summary_text(values), layers_text([[*NPU_ROW, "out"]]))
    assert parsed.sram.used_bytes == size


def test_operators_are_counted_as_vela_prints_them() -> None:
    rows = [[*NPU_ROW, "a"], [*FUSED_ROW, "a"], [*CPU_ROW, "b"], [*NPU_ROW, "c"]]
    values = SUMMARY | {"passes_before_fusing": "3"}
    parsed = report(summary_text(values), layers_text(rows))
    assert (parsed.npu_operators, parsed.cpu_operators) == (2, 1)
    assert [layer.fused for layer in parsed.layers] == [False, True, False, False]
    assert [layer.target for layer in parsed.layers].count(Placement.CPU) == 1
    # Vela writes 100 % for an operator without cycles; that is no utilisation.
    assert parsed.layers[1].mac_utilisation is None


def test_a_network_wholly_on_the_cpu_is_a_result() -> None:
    values = SUMMARY | {"cycles_total": "0", "inferences_per_second": "nan", "inference_time": "0"}
    parsed = report(summary_text(values), layers_text([[*CPU_ROW, "y"]]))
    assert (parsed.npu_operators, parsed.cpu_operators) == (0, 1)


# Whatever a converter may write; but a line that poses as a record cannot be told from one.
names = st.text(max_size=40).filter(
    lambda name: not any(",NPU," in line or ",CPU," in line for line in name.split("\n")[1:])
)


@given(st.lists(names, min_size=1, max_size=6))
def test_any_tensor_name_comes_back_as_one_line(tensor_names: list[str]) -> None:
    text = layers_text([[*NPU_ROW, name] for name in tensor_names])
    values = SUMMARY | {"passes_before_fusing": str(len(tensor_names))}
    parsed = report(summary_text(values), text)
    assert [layer.name for layer in parsed.layers] == list(map(one_line, tensor_names))


@pytest.mark.parametrize("column", sorted(set(SUMMARY) - UNREAD))
def test_a_missing_summary_column_is_named(column: str) -> None:
    values = {name: value for name, value in SUMMARY.items() if name != column}
    with pytest.raises(CompilerError, match=rf"net_summary\.csv.*'{column}'.*Vela 5\.2\.0"):
        report(summary_text(values), layers_text([[*NPU_ROW, "out"]]))


@pytest.mark.parametrize("column", LAYER_COLUMNS)
def test_a_missing_layer_column_is_named(column: str) -> None:
    index = LAYER_COLUMNS.index(column)
    lines = [list(LAYER_COLUMNS), [*NPU_ROW, "out"]]
    text = "".join(",".join(line[:index] + line[index + 1 :]) + "\n" for line in lines)
    with pytest.raises(CompilerError) as caught:
        report(summary_text(SUMMARY), text)
    assert "net_per-layer.csv" in str(caught.value)
    assert repr(column) in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("cycles_total", "many"),
        ("cycles_total", ""),
        ("cycles_total", "-1"),
        ("cycles_total", "1_000"),
        ("nn_macs", "1.5"),
        ("core_clock", "nan"),
        ("core_clock", "inf"),
        ("sram_memory_used", "0.0001"),
        ("off_chip_flash_bandwidth", "1e999"),
    ],
)
def test_a_value_that_is_no_such_number_is_named(column: str, value: str) -> None:
    with pytest.raises(CompilerError) as caught:
        report(summary_text(SUMMARY | {column: value}), layers_text([[*NPU_ROW, "out"]]))
    assert repr(column) in str(caught.value)
    assert repr(value) in str(caught.value)


def test_a_bad_layer_value_names_its_row() -> None:
    bad = [*NPU_ROW, "second"]
    bad[LAYER_COLUMNS.index("MAC Count")] = "lots"
    with pytest.raises(CompilerError, match=r"'MAC Count', row 2: .*'lots'"):
        report(summary_text(SUMMARY), layers_text([[*NPU_ROW, "first"], bad]))


@pytest.mark.parametrize(
    ("summary", "layers"),
    [
        ("", None),
        ("\r\n", None),
        (None, ""),
        (None, "\n"),
        (summary_text(SUMMARY).split("\r\n")[0], None),
        (summary_text(SUMMARY) * 2, None),
        (None, layers_text([["no record at all"]])),
        (None, layers_text([[*NPU_ROW]])),
    ],
)
def test_an_empty_or_ragged_file_is_an_error(summary: str | None, layers: str | None) -> None:
    good = layers_text([[*NPU_ROW, "out"]])
    with pytest.raises(CompilerError, match=r"net_(summary|per-layer)\.csv"):
        report(
            summary_text(SUMMARY) if summary is None else summary,
            good if layers is None else layers,
        )


def test_more_cpu_operators_than_operators_is_a_contradiction() -> None:
    with pytest.raises(CompilerError, match="2 operators on the CPU, but 1"):
        report(summary_text(SUMMARY), layers_text([[*CPU_ROW, "a"], [*CPU_ROW, "b"]]))


def numbers(report: VelaReport) -> list[float]:
    """All numbers of a report, of its memories and of its layers."""
    parts = [report, report.sram, report.dram, report.on_chip_flash, report.off_chip_flash]
    values = [value for part in [*parts, *report.layers] for _, value in part]
    return [value for value in values if isinstance(value, (int, float))]


@given(st.integers(min_value=0), st.booleans())
def test_damaged_files_give_a_report_or_a_compiler_error(seed: int, which: bool) -> None:
    rng = random.Random(seed)
    texts = [summary_text(SUMMARY), layers_text([[*NPU_ROW, "a"], [*FUSED_ROW, "b,\nc"]])]
    text = texts[which]
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(text) + 1)
        skip = rng.choice([0, 1, len(text)])
        text = text[:at] + rng.choice(["", *'",\n\r\0x9-.']) + text[at + skip :]
    texts[which] = text
    try:
        parsed = report(*texts)
    except CompilerError:
        return
    # Each operator is counted once, and each figure is one that can be.
    on_cpu = [layer for layer in parsed.layers if layer.target is Placement.CPU]
    assert len(on_cpu) == parsed.cpu_operators
    assert all(math.isfinite(value) and value >= 0 for value in numbers(parsed))


@given(st.text(), st.text())
def test_arbitrary_text_gives_a_compiler_error(summary: str, layers: str) -> None:
    with pytest.raises(CompilerError):
        report(summary, layers)


def test_missing_and_undecodable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CompilerError, match="cannot read net_summary_"):
        read_report(tmp_path, "net", SYSTEM, "5.2.0")
    (tmp_path / summary_name("net", SYSTEM)).write_text(summary_text(SUMMARY), encoding="utf-8")
    with pytest.raises(CompilerError, match=r"cannot read net_per-layer\.csv"):
        read_report(tmp_path, "net", SYSTEM, "5.2.0")
    (tmp_path / per_layer_name("net")).write_bytes(b"\xff\xfe")
    with pytest.raises(CompilerError, match=r"cannot read net_per-layer\.csv"):
        read_report(tmp_path, "net", SYSTEM, "5.2.0")


def test_a_report_survives_json() -> None:
    parsed = report(summary_text(SUMMARY), layers_text([[*NPU_ROW, 'ü,"x']]))
    assert VelaReport.model_validate_json(parsed.model_dump_json()) == parsed
