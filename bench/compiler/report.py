"""Vela's two CSV files as a `VelaReport`. Pure parsing; the only I/O is `read_report`.

What the columns count was found in Vela 5.2.0 (`stats_writer.py`) and by compiling models of
known size. Everything about cycles and traffic is Vela's *estimate*.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from bench.compiler.csv_text import Table, parse_layers, parse_summary
from bench.compiler.older_core import is_of_older_core, older_layers, older_summary
from bench.core.errors import CompilerError
from bench.core.schema import RecordModel

__all__ = [
    "LayerReport",
    "MemoryArea",
    "MemoryReport",
    "Placement",
    "VelaReport",
    "build_report",
    "debug_name",
    "per_layer_name",
    "read_report",
    "summary_name",
]


class MemoryArea(str, Enum):
    """A memory of Vela's model, valued by its prefix in the summary's column names."""

    SRAM = "sram"
    DRAM = "dram"
    ON_CHIP_FLASH = "on_chip_flash"
    OFF_CHIP_FLASH = "off_chip_flash"


class Placement(str, Enum):
    """Which processor runs an operator."""

    NPU = "NPU"
    CPU = "CPU"


class MemoryReport(RecordModel):
    """One memory: what is stored there, what is moved, and the cycles for that.

    In Sram_Only the constants are *stored* in `on_chip_flash` (Vela's alias for the part of the
    SRAM that holds them), but their traffic and cycles are listed under `sram`.
    """

    #: Peak use in bytes (the CSV has KiB; the conversion is exact).
    used_bytes: int
    #: Design bandwidth in bytes/s. For a memory that the configuration does not use, Vela gives a
    #: default; check `used_bytes` first.
    bandwidth_bytes_per_s: float
    feature_map_read_bytes: int
    feature_map_write_bytes: int
    #: Encoded weights, without scales. A weight that is read again for another block counts again,
    #: and so does the copy when weights are buffered in SRAM.
    weight_read_bytes: int
    weight_write_bytes: int
    #: All traffic of an inference; besides the four above it includes scales and look-up tables.
    total_bytes: int
    #: Cycles of the NPU clock for all accesses to this memory.
    access_cycles: int


class LayerReport(RecordModel):
    """One operator after Vela's rewriting, in the order of execution."""

    #: The operator of the source model, e.g. `Conv2D`; several layers can come from one.
    original_operator: str
    #: Vela's operator, e.g. `DepthwiseConv2D`, `LUT`; `Passthrough` on the CPU.
    vela_operator: str
    target: Placement
    #: Bytes in use in the staging memory (the arena) while this operator runs.
    staging_bytes: int
    #: Cycles of this operator: the largest of the NPU's own and those of each memory. Always
    #: 0 on the CPU, which Vela does not estimate.
    op_cycles: int
    #: Cycles of the NPU's own work, without memory.
    npu_cycles: int
    sram_cycles: int
    dram_cycles: int
    on_chip_flash_cycles: int
    off_chip_flash_cycles: int
    #: Multiply-accumulates, including padding and pooling, as Vela counts them.
    macs: int
    #: Share of the MAC array's capacity used during `op_cycles`, 0 to 1; None if the operator has
    #: no cycles (Vela then prints 100 %).
    mac_utilisation: float | None
    #: Name of the operator's output tensor.
    name: str

    @property
    def fused(self) -> bool:
        """Whether the operator is part of the previous one (an activation, a LUT)."""
        return self.target is Placement.NPU and self.op_cycles == 0


class VelaReport(RecordModel):
    """What Vela says about one compiled network, for one inference."""

    network: str
    #: For example `Ethos_U55_128`.
    accelerator_configuration: str
    system_config: str
    memory_mode: str
    core_clock_hz: float
    #: The upper bound of the arena in the memory mode, in bytes.
    arena_cache_bytes: int
    batch_size: int
    #: `cycles_total` / `core_clock_hz`, in seconds, without CPU operators.
    inference_time_s: float
    #: Weights of the operators on the NPU before encoding, in bytes; no biases.
    original_weights_bytes: int
    #: The same after Vela's compression, in bytes; no scales, biases or look-up tables.
    encoded_weights_bytes: int
    #: Multiply-accumulates of an inference on the NPU.
    macs: int
    #: Sum of the layers' `op_cycles`.
    cycles_total: int
    #: Sum of the layers' `npu_cycles`; does not depend on how well weights compress.
    cycles_npu: int
    sram: MemoryReport
    dram: MemoryReport
    on_chip_flash: MemoryReport
    off_chip_flash: MemoryReport
    #: Operators left to the CPU; None from the older core, which does not say.
    cpu_operators: int | None
    #: Operators on the NPU, without those fused into another one (as Vela prints them).
    npu_operators: int
    layers: tuple[LayerReport, ...]

    def memory(self, area: MemoryArea) -> MemoryReport:
        """The report of one memory."""
        return {
            MemoryArea.SRAM: self.sram,
            MemoryArea.DRAM: self.dram,
            MemoryArea.ON_CHIP_FLASH: self.on_chip_flash,
            MemoryArea.OFF_CHIP_FLASH: self.off_chip_flash,
        }[area]


def summary_name(network: str, system_config: str) -> str:
    """Vela's name for the summary of `network` (a file stem)."""
    return f"{network}_summary_{system_config}.csv"


def per_layer_name(network: str) -> str:
    """Vela's name for the per-layer file of `network` (a file stem)."""
    return f"{network}_per-layer.csv"


def debug_name(network: str) -> str:
    """Vela's name for the debug database of `network` (a file stem)."""
    return f"{network}_debug.xml"


def read_report(directory: Path, network: str, system_config: str, version: str) -> VelaReport:
    """Read both CSV files that Vela `version` wrote about `network` into `directory`.

    Raises `CompilerError`, which names the file, the column and Vela's version, if a file is
    missing, empty or not as expected.
    """
    summary = directory / summary_name(network, system_config)
    layers = directory / per_layer_name(network)
    totals = parse_summary(_read(summary, version), summary.name, version)
    text = _read(layers, version)
    if is_of_older_core(totals):
        return build_report(older_summary(totals), older_layers(text, layers.name, version))
    return build_report(totals, parse_layers(text, layers.name, version))


def build_report(summary: Table, layers: Table) -> VelaReport:
    """The report from the parsed files. Raises `CompilerError` for an impossible value."""
    if len(summary.rows) != 1:
        raise summary.error(f"expected one row of values, found {len(summary.rows)}")
    parsed = tuple(_layer(layers, row) for row in range(len(layers.rows)))
    cpu_operators, npu_operators = _operators(summary, layers, parsed)
    return VelaReport(
        network=summary.text("network"),
        accelerator_configuration=summary.text("accelerator_configuration"),
        system_config=summary.text("system_config"),
        memory_mode=summary.text("memory_mode"),
        core_clock_hz=summary.number("core_clock"),
        arena_cache_bytes=summary.kibibytes("arena_cache_size"),
        batch_size=summary.integer("batch_size"),
        inference_time_s=summary.number("inference_time"),
        original_weights_bytes=summary.integer("total_original_weights"),
        encoded_weights_bytes=summary.integer("total_npu_encoded_weights"),
        macs=summary.integer("nn_macs"),
        cycles_total=summary.integer("cycles_total"),
        cycles_npu=summary.integer("cycles_npu"),
        sram=_memory(summary, MemoryArea.SRAM),
        dram=_memory(summary, MemoryArea.DRAM),
        on_chip_flash=_memory(summary, MemoryArea.ON_CHIP_FLASH),
        off_chip_flash=_memory(summary, MemoryArea.OFF_CHIP_FLASH),
        cpu_operators=cpu_operators,
        npu_operators=npu_operators,
        layers=parsed,
    )


def _operators(
    summary: Table, layers: Table, parsed: Sequence[LayerReport]
) -> tuple[int | None, int]:
    """How many operators are on the CPU and on the NPU."""
    if "Target" not in layers.columns:
        return None, len(parsed)
    on_cpu = sum(layer.target is Placement.CPU for layer in parsed)
    # In this column Vela counts its operators before cascading, CPU and NPU together.
    operators = summary.integer("passes_before_fusing")
    if on_cpu > operators:
        raise layers.error(f"{on_cpu} operators on the CPU, but {operators} in {summary.file}")
    return on_cpu, operators - on_cpu


def _memory(summary: Table, area: MemoryArea) -> MemoryReport:
    prefix = area.value
    return MemoryReport(
        used_bytes=summary.kibibytes(f"{prefix}_memory_used"),
        # GiB/s in the file, although Vela prints it as GB/s.
        bandwidth_bytes_per_s=summary.number(f"{prefix}_bandwidth") * 2**30,
        feature_map_read_bytes=summary.integer(f"{prefix}_feature_map_read_bytes"),
        feature_map_write_bytes=summary.integer(f"{prefix}_feature_map_write_bytes"),
        weight_read_bytes=summary.integer(f"{prefix}_weight_read_bytes"),
        weight_write_bytes=summary.integer(f"{prefix}_weight_write_bytes"),
        total_bytes=summary.integer(f"{prefix}_total_bytes"),
        access_cycles=summary.integer(f"cycles_{prefix}_access"),
    )


def _layer(layers: Table, row: int) -> LayerReport:
    # The older core lists what is on the NPU, and says so nowhere.
    target = layers.text("Target", row) if "Target" in layers.columns else Placement.NPU.value
    if target not in {placement.value for placement in Placement}:
        raise layers.error(f"neither NPU nor CPU: {target!r}", "Target", row)
    op_cycles = layers.integer("Op Cycles", row)
    return LayerReport(
        original_operator=layers.text("Original Operator", row),
        vela_operator=layers.text("NNG Operator", row),
        target=Placement(target),
        staging_bytes=layers.integer("Staging Usage", row),
        op_cycles=op_cycles,
        npu_cycles=layers.integer("NPU", row),
        sram_cycles=layers.integer("SRAM AC", row),
        dram_cycles=layers.integer("DRAM AC", row),
        on_chip_flash_cycles=layers.integer("OnFlash AC", row),
        off_chip_flash_cycles=layers.integer("OffFlash AC", row),
        macs=layers.integer("MAC Count", row),
        mac_utilisation=layers.number("Util% (MAC)", row) / 100 if op_cycles else None,
        name=layers.text("Name", row),
    )


def _read(path: Path, version: str) -> str:
    try:
        # Read bytes: text mode would turn a carriage return in a name into a line end.
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CompilerError(
            f"cannot read {path.name}, which Vela {version} should have written: {error}",
            cure="use a version of Vela that the bench has a lock file for",
        ) from error
