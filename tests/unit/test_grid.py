"""The plan: which cells a configuration asks for."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import ConfigError
from bench.judging.suites import reproduce_command
from bench.plan.cell import Cell
from bench.plan.config import BenchConfig, load_config, parse_config
from bench.plan.grid import base_of, make_plan
from bench.pytest_plugin.scheduler import family_of
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from tests.support.bench_runs import DEFAULT_CONFIG

names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
cells = st.builds(
    Cell,
    workload=names,
    variant=names,
    accelerator=st.sampled_from(Accelerator),
    memory_mode=st.sampled_from(MemoryMode),
    target=names,
    system_config=st.sampled_from(
        ["Ethos_U55_High_End_Embedded", "Ethos_U55_Deep_Embedded", "Ethos_U55_Mine"]
    ),
    timing=st.sampled_from(["default", "ideal"]),
    vela=st.sampled_from(["installed", "5.0.0", "5.1.0", "4.0.0rc1"]),
)


@pytest.fixture(scope="module")
def default() -> BenchConfig:
    return load_config(DEFAULT_CONFIG)


def test_the_default_grid_is_the_study(default: BenchConfig) -> None:
    plan = make_plan(default)
    assert len(plan.cells) == 2 * 4 * 4 * 2
    assert len(plan.sweeps) == 2 * 4 * 2
    assert len(plan.orders) == 4 * 2
    assert len({cell.id for cell in plan.cells}) == len(plan.cells)


def test_sweeps_hold_rising_accelerators_of_one_configuration(default: BenchConfig) -> None:
    sweeps = make_plan(default).sweeps
    assert sweeps
    for sweep in sweeps:
        assert [c.accelerator for c in sweep.cells] == list(Accelerator)
        assert len({(c.family, c.memory_mode, c.target) for c in sweep.cells}) == 1


def test_orders_hold_the_configured_variants_of_one_configuration(default: BenchConfig) -> None:
    orders = make_plan(default).orders
    assert orders
    for order in orders:
        assert order.workload == "mnist_fc"
        variants = [c.variant for c in order.cells]
        assert variants == ["pruned_clustered", "pruned", "clustered", "base"]
        assert len({(c.accelerator, c.memory_mode) for c in order.cells}) == 1


def test_the_first_families_are_different_workloads(default: BenchConfig) -> None:
    families = list(dict.fromkeys(c.family for c in make_plan(default).cells))
    assert families[:2] == ["mnist_fc-base", "mnist_ds_cnn-base"]


@given(cells)
def test_ids_are_safe_file_names(cell: Cell) -> None:
    assert re.fullmatch(r"[a-z0-9_-]+", cell.id)


@given(cells, cells)
def test_ids_differ_when_cells_do(a: Cell, b: Cell) -> None:
    assert (a.id == b.id) == (a == b)


@given(cells)
def test_tests_of_one_family_are_scheduled_together(cell: Cell) -> None:
    nodeid = f"tests/regression/test_npu_cycles.py::test_npu_cycles[{cell.id}]"
    assert family_of(nodeid) == cell.family
    base = base_of(cell)
    assert base == replace(cell, variant="base"), "compared with a cell of other coordinates"


def test_a_group_keeps_the_system_configurations_apart() -> None:
    config = parse_config(
        '[grid]\nsystem_configs = ["Ethos_U55_High_End_Embedded", "Ethos_U55_Deep_Embedded"]\n'
        '[workloads]\nm = "m.tflite"\n',
        Path("bench.toml"),
    )
    plan = make_plan(config)
    assert len(plan.cells) == 16
    assert len(plan.sweeps) == 4
    for sweep in plan.sweeps:
        assert len({c.system_config for c in sweep.cells}) == 1


def test_a_group_keeps_the_versions_of_vela_apart(default: BenchConfig) -> None:
    plan = make_plan(default, velas=["installed", "5.0.0"])
    usual = make_plan(default)
    assert {cell.id for cell in usual.cells} <= {cell.id for cell in plan.cells}
    assert len(plan.cells) == 2 * len(usual.cells)
    for groups, before in ((plan.sweeps, usual.sweeps), (plan.orders, usual.orders)):
        assert [len({cell.vela for cell in group.cells}) for group in groups] == [1] * len(groups)
        ids = {group.id for group in groups}
        assert len(ids) == len(groups) == 2 * len(before)
        assert ids == {f"{g.id}{tail}" for g in before for tail in ("", "-vela_5_0_0")}


def test_an_empty_grid_is_an_error(default: BenchConfig) -> None:
    grid = default.grid.model_copy(update={"memory_modes": ()})
    with pytest.raises(ConfigError, match="the grid is empty"):
        make_plan(default.model_copy(update={"grid": grid}))


def test_a_repeated_value_is_an_error(default: BenchConfig) -> None:
    with pytest.raises(ConfigError, match="same cell twice"):
        make_plan(default, ["vela", "vela"])


def test_a_grid_that_fits_no_memory_is_refused_before_it_is_expanded(default: BenchConfig) -> None:
    names = tuple(f"name_{number}" for number in range(3000))
    for axes in (
        {"system_configs": names, "timing_profiles": names},
        {"macs": (Accelerator.U55_128,) * 3000, "targets": names},
        {"workloads": ("mnist_fc",) * 100_000},
    ):
        grid = default.grid.model_copy(update=axes)
        with pytest.raises(ConfigError, match="cells, more than 100,000"):
            make_plan(default.model_copy(update={"grid": grid}))


def test_a_reproduce_command_names_the_suite_of_the_metric() -> None:
    command = reproduce_command("axi1_read_beats", "m-base", ("--bench-config=x.toml",))
    node = "tests/regression/test_axi_traffic.py::test_axi_traffic[m-base]"
    assert command == f"pytest --bench-config=x.toml '{node}'"
    # One to paste: a blank separates nothing, and nothing is executed.
    for place in ("a b/x.toml", "$(touch x)/x.toml"):
        command = reproduce_command("npu_cycles", "m-base", (f"--bench-config={place}",))
        assert shlex.split(command)[1] == f"--bench-config={place}"
        assert f"'--bench-config={place}'" in command


def test_cells_of_a_target_with_one_device_form_one_group() -> None:
    for node in (
        "tests/regression/test_npu_cycles.py::test_npu_cycles[mnist_fc-base-u55_128-sram_only-mps3]",
        "tests/regression/test_mac_sweep.py::test_mac_sweep[kws-pruned-shared_sram-mps3]",
        "tests/regression/test_variant_order.py::test_variant_order[kws-u55_32-sram_only-mps3-ta_x]",
    ):
        assert family_of(node) == "mps3"
    assert family_of("test_x.py::test_x[mps3-base-u55_128-sram_only-sim]") == "mps3-base"
