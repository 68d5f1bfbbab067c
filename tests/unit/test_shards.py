"""The work of a plan, and its shards: complete, balanced, and the same on every machine."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.assembly.earlier import seen_seconds
from bench.assembly.session import RunSetup
from bench.assembly.setup import prepare_config
from bench.assembly.sharding import sharded
from bench.core.errors import ConfigError
from bench.measuring.progress import ProgressEvent, append_to
from bench.plan.cell import Cell
from bench.plan.config import BenchConfig, load_config, parse_config
from bench.plan.expected import RECORD_MS, TimeSource, expected_times
from bench.plan.grid import Plan, base_of, make_plan
from bench.plan.shards import Shard, Unit, parse_shard, restricted, shards_of, units_of
from bench.plan.work import StepKind, Work, work_of
from tests.support.bench_runs import DEFAULT_CONFIG

#: Two trained workloads, of which one has a frozen variant, and three files.
MIXED = """
[grid]
macs = [64, 256]
memory_modes = ["Shared_Sram", "Sram_Only"]
targets = ["sim", "vela"]

[workloads]
a = "a.tflite"
b = "b.tflite"

[workloads.c]
model = "c.tflite"
variants = { half = { method = "what_if", sparsity = 0.5 } }

[workloads.trained]
recipe = "mnist_fc"

[workloads.frozen]
recipe = "mnist_ds_cnn"
order = ["pruned", "base"]
variants.base = { method = "train", epochs = 2 }
variants.pruned = { method = "prune", parent = "base" }
variants.clustered = { method = "cluster", parent = "pruned", preserve_sparsity = true }
[workloads.frozen.frozen]
clustered = { model = "p.tflite", sha256 = "%s" }
""" % ("0" * 64)


def configuration(text: str = MIXED) -> BenchConfig:
    return parse_config(text, Path("/anywhere/bench.toml"))


def units(config: BenchConfig, seen: dict[str, float] | None = None) -> tuple[Unit, ...]:
    work = work_of(config, make_plan(config))
    times = expected_times(config, work, seen)
    return units_of(work, {id_: one.milliseconds for id_, one in times.items()})


def names(work: Work, kind: StepKind) -> list[str]:
    return [step.name for step in work.steps.values() if step.kind is kind]


def test_the_default_grid_needs_each_product_once() -> None:
    config = load_config(DEFAULT_CONFIG)
    work = work_of(config, make_plan(config))
    assert Counter(step.kind for step in work.steps.values()) == {
        StepKind.TRAIN: 8,
        StepKind.REFERENCE: 8,
        StepKind.COMPILE: 64,
        StepKind.MEASURE: 64,
    }
    done: set[str] = set()
    for id_, step in work.steps.items():
        assert step.id == id_
        assert done.issuperset(step.needs), "a step comes before what it needs"
        done.add(id_)
    assert work.steps["train:mnist_fc-pruned_clustered"].needs == ("train:mnist_fc-pruned",)
    last = next(cell for cell in work.plan.cells if cell.variant == "pruned_clustered")
    trained = [s.variant for s in work.before([last]) if s.kind is StepKind.TRAIN]
    assert trained == ["base", "pruned", "pruned_clustered"]


def test_a_frozen_variant_is_a_file_that_nobody_trains() -> None:
    config = configuration()
    work = work_of(config, make_plan(config))
    assert "frozen-clustered" in names(work, StepKind.MODEL)
    trained = [name for name in names(work, StepKind.TRAIN) if name.startswith("frozen")]
    assert trained == ["frozen-base", "frozen-pruned"]
    measured = next(c for c in work.plan.cells if c.family == "frozen-clustered")
    # Its base is trained, as it is compared with it; what it was once made from is not.
    assert trained_in(work, (measured,)) == {"train:frozen-base"}
    assert work.steps["model:c-half"].needs == ("model:c-base",)


def test_one_compilation_serves_all_targets_and_timing_profiles() -> None:
    config = configuration(
        '[grid]\nmacs = [64]\ntargets = ["sim", "vela"]\nworkloads = ["m"]\n'
        'memory_modes = ["Shared_Sram"]\n[workloads]\nm = "m.tflite"\n'
    )
    work = work_of(config, make_plan(config))
    assert len(names(work, StepKind.COMPILE)) == 1
    assert len(names(work, StepKind.MEASURE)) == 2


def test_the_base_is_made_for_comparison_even_if_the_grid_leaves_it_out() -> None:
    config = configuration(MIXED.replace("[grid]\n", '[grid]\nvariants = ["half"]\n'))
    work = work_of(config, make_plan(config))
    (cell, *_) = work.plan.cells
    assert cell.variant == "half"
    assert base_of(cell) not in work.plan.cells
    measured = {s.name for s in work.before([cell]) if s.kind is StepKind.MEASURE}
    assert measured == {cell.id, base_of(cell).id}


def test_what_earlier_runs_took_replaces_the_model() -> None:
    config = load_config(DEFAULT_CONFIG)
    work = work_of(config, make_plan(config))
    found = expected_times(config, work, {"train:mnist_fc-base": 12.3456})
    assert found["train:mnist_fc-base"].milliseconds == 12_346
    assert found["train:mnist_fc-base"].source is TimeSource.EARLIER_RUNS
    assert found["train:mnist_fc-pruned"].source is TimeSource.MODEL
    # What is known without having been seen: more epochs take longer.
    assert (
        found["train:mnist_fc-pruned"].milliseconds > found["train:mnist_fc-clustered"].milliseconds
    )


def trained_in(work: Work, cells: tuple[Cell, ...]) -> set[str]:
    return {step.id for step in work.before(cells) if step.kind is StepKind.TRAIN}


def check_partition(config: BenchConfig, plan: Plan, parts: list[Plan]) -> None:
    """Everything is somewhere, nothing twice, nothing is trained twice, no group is cut."""
    assert Counter(c for part in parts for c in part.cells) == Counter(plan.cells)
    for whole, of in ((plan.sweeps, "sweeps"), (plan.orders, "orders")):
        assert Counter(g for part in parts for g in getattr(part, of)) == Counter(whole)
    work = work_of(config, plan)
    trained = Counter(name for part in parts for name in trained_in(work, part.cells))
    assert set(trained.values()) <= {1}, "a variant is trained on two machines"
    for part in parts:
        for cell in part.cells:
            assert base_of(cell) in part.cells or base_of(cell) not in plan.cells


times = st.dictionaries(
    st.sampled_from(["train:trained-base", "train:frozen-base", "model:a-base", "model:c-half"]),
    st.floats(0, 10_000),
)


@settings(max_examples=40)
@given(st.integers(1, 12), times)
def test_a_partition_has_every_cell_once_and_cuts_nothing(
    count: int, seen: dict[str, float]
) -> None:
    config = configuration()
    plan = make_plan(config)
    found = shards_of(units(config, seen), count)
    assert len(found) == count
    check_partition(
        config, plan, [restricted(plan, {id_ for u in shard for id_ in u.cells}) for shard in found]
    )
    assert found == shards_of(units(configuration(), dict(seen)), count), "not the same twice"


def test_the_cells_of_a_shard_do_not_depend_on_how_the_configuration_is_written() -> None:
    """Where the file stands, and what judges, changes no partition."""
    here = parse_config(MIXED, Path("/one/bench.toml"))
    there = parse_config(
        MIXED.replace('recipe = "mnist_fc"', 'recipe = "mnist_fc"\ntitle = "Other"'),
        Path("/two/other.toml"),
    )
    for count in (2, 3, 7):
        assert shards_of(units(here), count) == shards_of(units(there), count)


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=60), st.integers(1, 12))
def test_shards_end_at_about_the_same_time(lengths: list[int], count: int) -> None:
    parts = shards_of([Unit((), length) for length in lengths], count)
    loads = [sum(unit.milliseconds for unit in part) for part in parts]
    assert sum(loads) == sum(lengths)
    # No partition ends before the longest unit, or before its even share.
    least = max(max(lengths), sum(lengths) / count)
    most = sorted(lengths, reverse=True)
    if len(most) > count:
        # Two of the first count + 1 share a shard.
        least = max(least, most[count - 1] + most[count])
    assert max(loads) <= least * (4 / 3 - 1 / (3 * count)) + 1e-6


def test_models_from_files_are_divided_by_what_is_judged_together() -> None:
    found = units(configuration())
    by_workload = Counter(unit.cells[0].split("-")[0] for unit in found)
    # A file is cut into its memory modes and targets; what is trained stays whole.
    assert by_workload == {"a": 4, "b": 4, "c": 4, "trained": 1, "frozen": 1}
    for unit in found:
        assert unit.milliseconds > RECORD_MS * len(unit.cells)


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "-1/3", "1/2000", "a/b", "1/2/3"])
def test_what_is_no_shard_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"no shard[\s\S]*2/5"):
        parse_shard(text)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> list[RunSetup]:
    """The same checkout on two machines: one is new, one has made everything before, slowly."""
    found = []
    for name in ("new", "old"):
        place = tmp_path_factory.mktemp(name)
        for part in ("bench.toml", "baselines"):
            source = DEFAULT_CONFIG.parent / part
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, place / part)
        config = place / "bench.toml"
        run = place / "results" / "20261129-000000-1"
        found.append(
            prepare_config(
                load_config(config), config, run_path=run, cache_root=place / f"cache-{name}"
            )
        )
    old = found[1]
    old.cache_root.mkdir()
    old.run_path.mkdir(parents=True)
    sink = append_to(old.run_path / "progress.jsonl")
    for variant in ("base", "pruned", "clustered"):
        sink(ProgressEvent("train", f"mnist_fc-{variant}", "done", "", 90_000.0, 1))
    return found


def test_an_earlier_run_is_seen_by_a_plan(machines: list[RunSetup]) -> None:
    new, old = (seen_seconds(setup.run_path.parent) for setup in machines)
    assert new == {}
    assert old["train:mnist_fc-base"] == 90_000.0


@given(st.integers(1, 9), st.data())
def test_every_machine_has_the_same_shards(
    machines: list[RunSetup], count: int, data: st.DataObject
) -> None:
    """Whatever its cache holds, and whatever its earlier runs took."""
    number = data.draw(st.integers(1, count))
    shards = [sharded(setup, Shard(number, count), None).shard for setup in machines]
    assert shards[0] == shards[1]
    assert machines[0].config_sha256 == machines[1].config_sha256, "only the place differs"
