"""A judgement that the configuration itself makes impossible is an error at its start."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import ConfigError
from bench.plan.config import BASE_VARIANT, BenchConfig, LimitRule, load_config, parse_config
from bench.plan.config.reach import unreachable
from bench.plan.grid import make_plan
from bench.plan.metrics import MetricName
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from tests.support.bench_runs import DEFAULT_CONFIG

PATH = Path("some/bench.toml")

GRID = '[grid]\nmacs = [128]\nmemory_modes = ["Shared_Sram"]\n'
FILE = f'{GRID}[workloads.m]\nmodel = "m.tflite"\n'
LIMIT = '[[workloads.m.limits]]\nmetric = "npu_cycles"\nmax = 1\n'
TRAINED = """
[workloads.m]
recipe = "mnist_fc"
[workloads.m.variants]
base = { method = "train", epochs = 1 }
pruned = { method = "prune" }
clustered = { method = "cluster" }
"""
ONLY_BASE = GRID.replace("[grid]", '[grid]\nvariants = ["base"]') + TRAINED


def ordered(text: str, line: str) -> str:
    return text.replace("[workloads.m.variants]", f"{line}\n[workloads.m.variants]")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{FILE}{LIMIT}macs = [256]\n", "limits[0].macs: 256 is not in grid.macs"),
        (f"{FILE}{LIMIT}macs = [128, 256]\n", "limits[0].macs: 256 is not in grid.macs"),
        (f"{FILE}{LIMIT}{LIMIT}macs = [32]\n", "limits[1].macs: 32 is not in grid.macs"),
        (f'{FILE}{LIMIT}memory_modes = ["Sram_Only"]\n', "limits[0].memory_modes: Sram_Only is"),
        (f'{ONLY_BASE}{LIMIT}variants = ["pruned"]\n', "limits[0].variants: 'pruned' is not in"),
        (f"{FILE}{LIMIT}max_ratio_to_base = 2\n", "limits[0].max_ratio_to_base: compares with"),
        (f"{FILE}{LIMIT}max_drop_from_base = 2\n", "limits[0].max_drop_from_base: compares with"),
        (f"{ONLY_BASE}{LIMIT}max_ratio_to_base = 2\n", "limits[0].max_ratio_to_base: compares"),
        (
            f'{GRID}{TRAINED}{LIMIT}variants = ["base"]\nmax_ratio_to_base = 2\n',
            "limits[0].max_ratio_to_base: compares",
        ),
        (f"{FILE}{LIMIT.replace('npu_cycles', 'accuracy')}", "limits[0].metric: there is no acc"),
        (f'{FILE}expect_bound = {{ Shared_Sram = "memory" }}\n', "expect_bound.Shared_Sram: grid"),
        (
            f'{FILE}expect_bound = {{ Sram_Only = "memory" }}\n'.replace("[128]", "[64, 128]"),
            "expect_bound.Sram_Only: is not in grid.memory_modes",
        ),
        (ordered(ONLY_BASE, 'order = ["pruned", "base"]'), "order: fewer than two of these"),
        (ordered(GRID + TRAINED, 'order = ["base"]'), "order: fewer than two of these"),
        (
            ordered(GRID + TRAINED, "order_tolerance = 0.1"),
            "order_tolerance: there is no `order`",
        ),
        (
            FILE.replace("[grid]", '[grid]\nvariants = ["pruned"]')
            + TRAINED.replace("workloads.m", "workloads.n")
            + LIMIT,
            "limits: no variant of this workload is in grid.variants",
        ),
    ],
)
def test_what_can_never_be_judged_is_named_by_its_key(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, PATH)
    assert str(caught.value).startswith(f"{PATH}: workloads.m.{said}")
    assert caught.value.cure


def test_all_of_them_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(f"{FILE}{LIMIT}macs = [32]\n{LIMIT}macs = [64]\n", PATH)
    assert [line.split(": ")[1] for line in caught.value.what.splitlines()] == [
        "workloads.m.limits[0].macs",
        "workloads.m.limits[1].macs",
    ]


def test_a_workload_that_is_switched_off_is_not_looked_at() -> None:
    text = f"{FILE}{LIMIT}macs = [32]\n".replace("[grid]", '[grid]\nworkloads = ["n"]')
    assert parse_config(f'{text}[workloads.n]\nmodel = "n.tflite"\n', PATH)


def test_the_command_line_narrows_the_grid_and_not_the_limits() -> None:
    config = load_config(DEFAULT_CONFIG)
    # The target of the command line, and a grid that its accelerators are then chosen from.
    assert make_plan(config, ["vela"]).cells
    assert list(unreachable(config)) == []


def subsets(values: list[Accelerator] | list[MemoryMode] | list[str]) -> st.SearchStrategy[object]:
    return st.lists(st.sampled_from(values), min_size=1, unique=True).map(tuple)


VARIANTS = ["base", "pruned", "clustered", "pruned_clustered"]


@given(
    grid=st.fixed_dictionaries(
        {
            "macs": subsets(list(Accelerator)),
            "memory_modes": subsets(list(MemoryMode)),
            "variants": subsets(VARIANTS) | st.just(()),
        }
    ),
    filters=st.fixed_dictionaries(
        {
            "macs": st.none() | st.sampled_from(Accelerator).map(lambda one: (one,)),
            "memory_modes": st.none() | st.sampled_from(MemoryMode).map(lambda one: (one,)),
            "variants": st.none() | st.sampled_from(VARIANTS).map(lambda one: (one,)),
        }
    ),
    relative=st.booleans(),
)
def test_a_limit_is_refused_exactly_when_no_cell_of_the_plan_can_break_it(
    grid: dict[str, object], filters: dict[str, object], relative: bool
) -> None:
    default = load_config(DEFAULT_CONFIG)
    bound = {"max_ratio_to_base": 1.0} if relative else {"max": 1.0}
    rule = LimitRule.model_validate({"metric": MetricName.NPU_CYCLES, **filters, **bound})
    workload = default.workloads["mnist_fc"].model_copy(
        update={"limits": (rule,), "expect_bound": {}, "order": (), "order_tolerance": 0.0}
    )
    config = BenchConfig(
        grid=default.grid.model_copy(update=grid), workloads={"mnist_fc": workload}
    )
    applies = [
        cell
        for cell in make_plan(config).cells
        if (rule.macs is None or cell.accelerator in rule.macs)
        and (rule.memory_modes is None or cell.memory_mode in rule.memory_modes)
        and (rule.variants is None or cell.variant in rule.variants)
        and not (relative and cell.variant == BASE_VARIANT)
    ]
    assert bool(list(unreachable(config))) == (not applies)
