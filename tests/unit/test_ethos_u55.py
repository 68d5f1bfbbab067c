"""The facts of `targets.ethos_u55` are those of Vela's own tables and register definitions."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from ethosu.vela import driver_actions
from ethosu.vela.architecture_features import Accelerator as VelaAccelerator
from ethosu.vela.architecture_features import ArchitectureFeatures
from ethosu.vela.ethos_u55_regs import ethos_u55_regs as regs
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import ConfigError
from targets.ethos_u55.accelerators import MAC_COUNTS, Accelerator
from targets.ethos_u55.addresses import ALIGNMENT
from targets.ethos_u55.identification import ARCHITECTURE, CONFIG_WORDS, IDENTITY
from targets.ethos_u55.kernels import (
    SUB_KERNEL,
    sub_kernel_count,
    sub_kernel_sizes,
    sub_kernel_step,
    window_extent,
)
from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.micro_blocks import IFM_MICRO_BLOCK_DEPTH, ofm_micro_block
from targets.ethos_u55.pmu_events import (
    EVENT_COUNTERS,
    EVENT_NUMBER_MAX,
    EVENT_NUMBERS,
    port_event,
)
from targets.ethos_u55.ports import AXI_LIMITS, BURSTS, REGIONS, PortMap, port_of_limit
from targets.ethos_u55.shram import BANK_BYTES, LUT_BYTES, lut_address, shram_bytes
from targets.ethos_u55.weights import WeightOrder, ifm_block_channels, kernel_step
from targets.firmware import FIRMWARE_DIRECTORY

LIMIT = st.integers(0, 3)


def vela(accelerator: Accelerator) -> SimpleNamespace:
    """Vela's row for an accelerator; its blocks are width, height, depth."""
    row = ArchitectureFeatures.accelerator_configs[VelaAccelerator(accelerator.vela_name)]
    return SimpleNamespace(**row._asdict())


def test_the_accelerators_are_velas_ethos_u55s() -> None:
    names = {each.value for each in VelaAccelerator if each.value.startswith("ethos-u55-")}
    assert {accelerator.vela_name for accelerator in Accelerator} == names
    assert tuple(sorted(MAC_COUNTS)) == MAC_COUNTS


@pytest.mark.parametrize("accelerator", Accelerator)
def test_each_accelerators_sizes_are_velas(accelerator: Accelerator) -> None:
    row = vela(accelerator)
    assert row.macs == accelerator
    block = row.ofm_ublock
    assert ofm_micro_block(accelerator) == (block.height, block.width, block.depth)
    assert row.ifm_ublock.depth == IFM_MICRO_BLOCK_DEPTH
    assert shram_bytes(accelerator) == row.shram_banks * BANK_BYTES
    # A micro-block of the OFM takes the MACs a quarter at a time: `_CYCLES_PER_MICRO_BLOCK`.
    assert block.height * block.width * block.depth * IFM_MICRO_BLOCK_DEPTH == accelerator


@pytest.mark.parametrize("accelerator", Accelerator)
def test_the_tables_lie_where_vela_puts_them(accelerator: Accelerator) -> None:
    banks = vela(accelerator).shram_banks
    spare = 2 if banks > 16 else 0
    assert lut_address(accelerator) == (banks - max(spare, 2)) * 1024
    assert lut_address(accelerator) + LUT_BYTES == shram_bytes(accelerator)


@pytest.mark.parametrize("accelerator", Accelerator)
def test_the_words_that_name_an_npu_are_those_vela_writes(accelerator: Accelerator) -> None:
    row = vela(accelerator)
    architecture = SimpleNamespace(
        ncores=row.cores,
        config=row,
        shram_size_bytes=row.shram_banks * 1024,
        is_ethos_u65_system=False,
    )
    assert CONFIG_WORDS[accelerator] == driver_actions.build_config_word(architecture)
    # The older compiler core leaves the product's own fields, bits 15:0, empty.
    assert driver_actions.build_id_word() >> 16 == IDENTITY >> 16
    word = regs.id_r()
    word.word = IDENTITY
    assert word.get_arch_major_rev() == ARCHITECTURE


def test_the_pmu_is_that_of_the_register_definitions() -> None:
    events = {each.name: each.value for each in regs.pmu_event_type if each.name != "NO_EVENT"}
    assert dict(EVENT_NUMBERS) == events
    assert list(EVENT_NUMBERS.values()) == sorted(EVENT_NUMBERS.values())
    assert port_event(1, "RD_DATA_BEAT_RECEIVED") == "AXI1_RD_DATA_BEAT_RECEIVED"
    field = regs.pmevtyper0_r()
    field.word = 0xFFFF_FFFF
    assert field.get_ev_type() == EVENT_NUMBER_MAX
    assert hasattr(regs, f"pmevtyper{EVENT_COUNTERS - 1}_r")
    assert not hasattr(regs, f"pmevtyper{EVENT_COUNTERS}_r")


def test_there_are_as_many_limits_as_registers() -> None:
    assert hasattr(regs, f"axi_limit{AXI_LIMITS - 1}_r")
    assert not hasattr(regs, f"axi_limit{AXI_LIMITS}_r")


@given(LIMIT, st.tuples(*[LIMIT] * 8), st.tuples(*[st.sampled_from(BURSTS)] * 2))
def test_a_port_map_is_what_its_registers_say(
    qconfig: int, regioncfg: tuple[int, ...], bursts: tuple[int, int]
) -> None:
    ports = PortMap(qconfig, regioncfg, bursts)  # type: ignore[arg-type]
    word = regs.regioncfg_r()
    for region, limit in enumerate(regioncfg):
        getattr(word, f"set_region{region}")(limit)
    assert ports.regioncfg_word == word.word
    limits = [BURSTS.index(bursts[port_of_limit(limit)]) for limit in range(AXI_LIMITS)]
    assert PortMap.from_registers(qconfig, word.word, limits) == ports


@given(st.integers(0, 0xFFFF_FFFF), st.integers(0, 0xFFFF_FFFF), st.integers(0, 0xFFFF_FFFF))
def test_any_content_of_the_registers_is_a_port_map(
    qconfig: int, regioncfg: int, limit: int
) -> None:
    ports = PortMap.from_registers(qconfig, regioncfg, [limit] * AXI_LIMITS)
    assert ports.qconfig == qconfig % AXI_LIMITS
    assert len(ports.regioncfg) == REGIONS
    assert ports.burst(None) == (64, 128, 256, 256)[limit % 4]


def test_the_firmware_in_c_has_the_same_numbers() -> None:
    numbers = {
        match[1]: int(match[2], 0)
        for path in FIRMWARE_DIRECTORY.glob("*.[ch]")
        for match in re.finditer(
            r"#define (\w+) (0[xX]\w+|\d+)u\b", path.read_text(encoding="utf-8")
        )
    }
    facts = {
        "AXI_LIMITS": AXI_LIMITS,
        "JOB_EVENT_LAST": EVENT_NUMBER_MAX,
        "NPU_ALIGNMENT": ALIGNMENT,
        "PMU_COUNTERS": EVENT_COUNTERS,
        "REGIONS": REGIONS,
    }
    assert {name: numbers.get(name) for name in facts} == facts


def test_arms_defaults_put_constants_on_axi1() -> None:
    shared = PortMap.for_memory_mode(MemoryMode.SHARED_SRAM)
    assert [shared.port(region) for region in (None, 0, 1, 2)] == [1, 1, 0, 0]
    assert shared.regioncfg_word == 0b0101_0101_0101_0011
    only = PortMap.for_memory_mode(MemoryMode.SRAM_ONLY)
    assert {only.port(region) for region in (None, *range(REGIONS))} == {0}


def test_a_burst_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\(32, 64\) bytes") as error:
        PortMap(bursts=(32, 64))  # type: ignore[arg-type]
    assert "64, 128, 256" in error.value.cure


@given(st.integers(1, 300), st.sampled_from([1, 2]))
def test_sub_kernels_cover_a_kernel_once(size: int, dilation: int) -> None:
    limit = ArchitectureFeatures.SubKernelMax
    assert (limit.height, limit.width) == (SUB_KERNEL, SUB_KERNEL)
    sizes = sub_kernel_sizes(size, dilation)
    assert sum(sizes) == size
    assert len(sizes) == sub_kernel_count(size, dilation)
    assert set(sizes[:-1]) <= {sub_kernel_step(dilation)}
    assert all((part - 1) * dilation < SUB_KERNEL for part in sizes)


@given(st.integers(1, 12), st.integers(1, 4), st.integers(1, 9), st.sampled_from([1, 2]))
def test_a_window_covers_what_its_outputs_touch(
    outputs: int, stride: int, size: int, dilation: int
) -> None:
    touched = {output * stride + tap * dilation for output in range(outputs) for tap in range(size)}
    assert window_extent(outputs, stride, size, dilation) == max(touched) + 1


@pytest.mark.parametrize(
    ("order", "bits", "channels", "step"),
    [
        (WeightOrder.DEPTH_FIRST, 8, 32, 1),
        (WeightOrder.DEPTH_FIRST, 16, 16, 1),
        (WeightOrder.PART_KERNEL, 8, 16, 4),
        (WeightOrder.PART_KERNEL, 16, 16, 2),
        (WeightOrder.DEPTHWISE, 8, 32, 4),
        (WeightOrder.DEPTHWISE, 16, 16, 4),
    ],
)
def test_weights_are_taken_in_steps(
    order: WeightOrder, bits: int, channels: int, step: int
) -> None:
    assert ifm_block_channels(order, bits) == channels
    assert kernel_step(order, bits) == step


@pytest.mark.parametrize("macs", [0, 16, 512])
def test_an_accelerator_that_does_not_exist_has_no_sizes(macs: int) -> None:
    for size in (shram_bytes, lut_address, ofm_micro_block):
        with pytest.raises(ValueError, match=str(macs)):
            size(macs)
