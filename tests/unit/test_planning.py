"""What is to be done for a cell follows from the configuration and what its target can do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import BenchError, ModelError
from bench.measuring.once import Once
from bench.measuring.planning import Lack, plan_cells
from bench.plan.config import parse_config
from bench.plan.grid import make_plan
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.protocol import Capabilities, Source

CONFIG = """
[grid]
system_configs = ["Ethos_U55_High_End_Embedded", "Ethos_U55_Deep_Embedded"]
timing_profiles = ["default", "mine"]
targets = ["sim", "fvp"]

[vela]
config_file = "nowhere.ini"
optimise = "Size"

[timing.mine]
sram = { maxr = 3 }
ext = {}

[workloads]
one = "nowhere.tflite"
two = "elsewhere.tflite"
"""


def capable(name: str, **limits: object) -> Capabilities:
    return Capabilities(
        name=name,
        source=Source.SIMULATED,
        events=frozenset(),
        executes_artefact=True,
        **limits,  # type: ignore[arg-type]
    )


@given(
    st.frozensets(st.sampled_from(Accelerator)),
    st.frozensets(st.sampled_from(MemoryMode)),
)
def test_a_cell_is_planned_whole_or_lacks_what_its_target_lacks(
    accelerators: frozenset[Accelerator], modes: frozenset[MemoryMode]
) -> None:
    config = parse_config(CONFIG, Path("/root/bench.toml"))
    cells = make_plan(config).cells
    targets: Mapping[str, Capabilities | Lack] = {
        "sim": capable("sim", accelerators=accelerators, memory_modes=modes),
        "fvp": Lack("there is none", "buy one"),
    }
    plans = plan_cells(config, cells, targets)
    assert list(plans) == list(cells)
    for cell, plan in plans.items():
        assert plan.cell == cell
        assert plan.workload == config.workloads[cell.workload]
        assert plan.options.accelerator == cell.accelerator
        assert plan.options.memory_mode == cell.memory_mode
        assert plan.options.system_config == cell.system_config
        assert plan.options.config_file == Path("/root/nowhere.ini")
        assert plan.options.optimise == "Size"
        assert (
            (plan.timing.sram.maxr == 3) == (cell.timing == "mine") == (plan.timing_name == "mine")
        )
        if cell.target == "fvp":
            assert plan.target == targets["fvp"]
        elif cell.accelerator in accelerators and cell.memory_mode in modes:
            assert plan.target == targets["sim"]
        else:
            assert isinstance(plan.target, Lack)
            assert plan.target.what.startswith(f"{cell.id}: target 'sim' has no ")
            missing = "grid.macs" if cell.accelerator not in accelerators else "grid.memory_modes"
            assert missing in plan.target.cure


def test_a_step_is_taken_once_for_each_thing_it_is_asked_for() -> None:
    taken: list[int] = []

    def step(number: int) -> int:
        taken.append(number)
        if number < 0:
            raise ModelError(f"no {number}")
        return number * 2

    once = Once(step)
    assert [once(3), once(4), once(3)] == [6, 8, 6]
    errors = []
    for _ in range(3):
        with pytest.raises(BenchError, match="no -1") as caught:
            once(-1)
        errors.append(caught.value)
    assert errors[0] is errors[1] is errors[2]
    assert taken == [3, 4, -1]
