"""The judge, on real records: the limits that apply, and what the verdict says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bench.baselines.accepted import BaselineSet
from bench.judging.groups import judge_order, judge_sweep
from bench.judging.judge import Judge
from bench.judging.policy import Policy
from bench.judging.sweep import SweepResult
from bench.judging.verdicts import judge_cell, worst
from bench.plan.cell import Cell
from bench.plan.config import LimitRule, parse_config
from bench.plan.grid import make_plan
from bench.plan.metrics import AccuracyMetric as Metric
from bench.plan.metrics import MetricName
from bench.records.figures import Absent
from bench.records.metric_values import metric_value
from bench.records.quality import AccuracyRecord, ReferenceRecord
from bench.records.record import CellIdentity, Record, Status
from bench.records.run import RunManifest, Surroundings
from bench.records.run_directory import RunDirectory
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.protocol import Source, Uncertainty
from tests.support.records import dense_layer_record

NOTHING = BaselineSet(origin="nothing")


def reproduce(metric: str, subject: str) -> str:
    return f"pytest {metric} {subject}"


@pytest.fixture(scope="module")
def base() -> Record:
    """A record of a real compile with made-up counters."""
    return dense_layer_record("base")


def variant(base: Record, name: str, *, cycles: int = 1000, accuracy: float = 0.95) -> Record:
    counters = base.measurement.counters | {"NPU_ACTIVE": cycles}
    return base.model_copy(
        update={
            "cell": base.cell.model_copy(update={"variant": name, "id": f"w-{name}"}),
            "measurement": base.measurement.model_copy(update={"counters": counters}),
            "accuracy": AccuracyRecord(metric=Metric.TOP1, value=accuracy, samples=10),
        }
    )


def statuses(record: Record, base: Record, *rules: LimitRule) -> dict[str, list[Status]]:
    found: dict[str, list[Status]] = {}
    for verdict in judge_cell(record, base, rules, reproduce):
        found.setdefault(verdict.metric, []).append(verdict.status)
    return found


def test_every_metric_gets_a_verdict_and_none_passes_without_a_limit(base: Record) -> None:
    found = statuses(base, base)
    assert set(found) == {metric.value for metric in MetricName}
    assert found["npu_cycles"] == [Status.NO_BASELINE]
    assert found["axi0_read_beats"] == [Status.UNAVAILABLE]
    assert found["axi0_write_beats"] == [Status.INCOMPLETE]


@given(measured=st.integers(1, 2000), low=st.integers(1, 2000), span=st.integers(0, 500))
def test_absolute_bounds(base: Record, measured: int, low: int, span: int) -> None:
    rule = LimitRule(metric=MetricName.NPU_CYCLES, min=low, max=low + span)
    found = statuses(variant(base, "v", cycles=measured), base, rule)["npu_cycles"]
    inside = low <= measured <= low + span
    assert (found == [Status.PASS, Status.PASS]) == inside
    assert (Status.FAIL in found) == (not inside)


def test_filters_choose_the_cells(base: Record) -> None:
    rule = LimitRule(metric=MetricName.NPU_CYCLES, max=1, variants=("pruned",))
    assert statuses(variant(base, "pruned"), base, rule)["npu_cycles"] == [Status.FAIL]
    assert statuses(variant(base, "other"), base, rule)["npu_cycles"] == [Status.NO_BASELINE]
    rule = LimitRule(metric=MetricName.NPU_CYCLES, max=1, macs=(Accelerator.U55_32,))
    assert statuses(base, base, rule)["npu_cycles"] == [Status.NO_BASELINE]


def test_relative_bounds_are_held_against_base(base: Record) -> None:
    ratio = LimitRule(metric=MetricName.NPU_CYCLES, max_ratio_to_base=0.5)
    assert statuses(variant(base, "v", cycles=500), base, ratio)["npu_cycles"] == [Status.PASS]
    assert statuses(variant(base, "v", cycles=501), base, ratio)["npu_cycles"] == [Status.FAIL]
    drop = LimitRule(metric=MetricName.ACCURACY, max_drop_from_base=0.02)
    assert statuses(variant(base, "v", accuracy=0.94), base, drop)["accuracy"] == [Status.PASS]
    assert statuses(variant(base, "v", accuracy=0.92), base, drop)["accuracy"] == [Status.FAIL]


def test_figures_on_other_data_are_not_compared(base: Record) -> None:
    rule = LimitRule(metric=MetricName.NPU_CYCLES, max_ratio_to_base=0.5)
    other = base.model_copy(update={"data": base.data.model_copy(update={"name": "other"})})
    found = statuses(variant(base, "v"), other, rule)["npu_cycles"]
    assert found == [Status.INCOMPLETE], "a bound that cannot be applied is not passed over"


def test_the_line_says_everything(base: Record) -> None:
    rule = LimitRule(metric=MetricName.NPU_CYCLES, max=900)
    verdicts = judge_cell(variant(base, "v", cycles=12_345), base, [rule], reproduce)
    line = worst(v for v in verdicts if v.metric == "npu_cycles").line
    assert "\n" not in line
    for part in ("w-v", "npu_cycles", "12,345 cycles", "at most 900 cycles", "limits[0].max"):
        assert part in line
    assert line.endswith("reproduce: pytest npu_cycles w-v")


def test_order_holds_for_rising_figures_only(base: Record) -> None:
    small, large = variant(base, "small", cycles=10), variant(base, "large", cycles=20)
    cycles = f"variant_order of {MetricName.NPU_CYCLES.value}"
    right = {v.metric: v for v in judge_order("g", [small, large], 0, reproduce)}
    wrong = {v.metric: v for v in judge_order("g", [large, small], 0, reproduce)}
    assert right[cycles].status is Status.PASS
    assert wrong[cycles].status is Status.FAIL
    assert "small <= large" in right[cycles].line


def test_an_order_tolerates_what_it_is_told_to(base: Record) -> None:
    almost = [variant(base, "small", cycles=1001), variant(base, "large", cycles=1000)]
    statuses = {
        tolerance: worst(judge_order("g", almost, tolerance, reproduce)).status
        for tolerance in (0, 0.0005, 0.001)
    }
    assert statuses == {0: Status.FAIL, 0.0005: Status.FAIL, 0.001: Status.PASS}


@pytest.mark.parametrize("bound", [0.001, 10], ids=["would fail", "would pass"])
@pytest.mark.parametrize(
    ("rule", "lost"),
    [
        ("max_ratio_to_base of npu_cycles", "cycles"),
        ("max_ratio_to_base of npu_cycles", "cycles, told"),
        ("max_ratio_to_base of axi1_read_beats", "beats, told"),
        ("max_ratio_to_base of axi1_read_beats", "beats"),
        ("max_drop_from_base of accuracy", "accuracy"),
        ("max_drop_from_base of accuracy", "accuracy, told"),
        ("max_drop_from_base of accuracy", "part of the test set"),
    ],
)
def test_a_limit_relative_to_a_base_that_lost_its_figure_is_not_passed_over(
    base: Record, rule: str, lost: str, bound: float
) -> None:
    key, _, metric = rule.partition(" of ")
    limit = LimitRule.model_validate({"metric": metric, key: bound})
    blind = TAKEN[lost](base)
    told = [v for v in judge_cell(variant(base, "v"), blind, [limit], reproduce) if v.fails]
    (verdict,) = [v for v in told if v.metric == metric]
    assert verdict.status is Status.INCOMPLETE
    assert verdict.key == f"workloads.w.limits[0].{key}"
    assert "cannot be applied: base has no figure" in verdict.reason
    # Another bound that holds says nothing of this one.
    both = LimitRule.model_validate({"metric": metric, key: bound, "min": 0})
    found = statuses(variant(base, "v"), blind, both)[metric]
    assert found == [Status.PASS, Status.INCOMPLETE]


def without(record: Record, event: str, reason: str) -> Record:
    """The record without the count of `event`; a reason of "" = without a word."""
    measurement = record.measurement
    counters = {name: n for name, n in measurement.counters.items() if name != event}
    absent = {name: text for name, text in measurement.unavailable.items() if name != event}
    update = {"counters": counters, "unavailable": absent | ({event: reason} if reason else {})}
    return record.model_copy(update={"measurement": measurement.model_copy(update=update)})


def promising(record: Record, *metrics: MetricName) -> Record:
    return record.model_copy(update={"promised": metrics})


def on_cpu(record: Record, *operators: str) -> Record:
    compilation = record.compilation.model_copy(update={"cpu_operators": operators})
    return record.model_copy(update={"compilation": compilation})


def test_a_limit_that_lost_its_figure_fails(base: Record) -> None:
    rule = LimitRule(metric=MetricName.NPU_CYCLES, max=2000)
    blind = without(base, "NPU_ACTIVE", "everything is on the CPU")
    (verdict,) = (v for v in judge_cell(blind, blind, [rule], reproduce) if "cycles" in v.metric)
    assert verdict.status is Status.FAIL
    assert "everything is on the CPU" in verdict.line
    assert verdict.key == "workloads.w.limits[0].max"


def test_the_accuracy_on_a_part_of_the_test_set_meets_no_limit(base: Record) -> None:
    part = TAKEN["part of the test set"](base)
    rule = LimitRule(metric=MetricName.ACCURACY, min=0.1)
    (verdict,) = (v for v in judge_cell(part, part, [rule], reproduce) if v.metric == "accuracy")
    assert verdict.status is Status.FAIL
    assert "ran 1 of 10 test samples" in verdict.line
    assert statuses(base, base, rule)["accuracy"] == [Status.PASS]


def test_a_figure_the_target_never_gives_is_unavailable(base: Record) -> None:
    rule = LimitRule(metric=MetricName.NPU_CYCLES, max=2000)
    blind = promising(without(base, "NPU_ACTIVE", "no such counter"), MetricName.ACCURACY)
    assert statuses(blind, blind, rule)["npu_cycles"] == [Status.UNAVAILABLE]


def test_without_a_limit_a_missing_figure_is_unavailable(base: Record) -> None:
    blind = without(base, "NPU_ACTIVE", "everything is on the CPU")
    assert statuses(blind, blind)["npu_cycles"] == [Status.UNAVAILABLE]


@pytest.mark.parametrize("event", ["NPU_ACTIVE", "AXI1_RD_DATA_BEAT_RECEIVED"])
def test_an_operator_that_left_the_npu_is_no_gain(base: Record, event: str) -> None:
    rules = [
        LimitRule(metric=MetricName.NPU_CYCLES, max=2000),
        LimitRule(metric=MetricName.AXI1_READ, max=2000),
    ]
    whole = statuses(on_cpu(base), base, *rules)
    assert whole["cpu_operators"] == whole["npu_cycles"] == [Status.PASS]
    lost = statuses(on_cpu(base, "TRANSPOSE_CONV"), base, *rules)
    for metric in ("cpu_operators", "npu_cycles", "axi1_read_beats"):
        assert lost[metric] == [Status.FAIL], metric
    allowed = LimitRule(metric=MetricName.CPU_OPERATORS, max=1)
    meant = statuses(on_cpu(base, "TRANSPOSE_CONV"), base, *rules, allowed)
    for metric in ("cpu_operators", "npu_cycles", "axi1_read_beats"):
        assert meant[metric] == [Status.PASS], metric
    two = statuses(on_cpu(base, "TRANSPOSE_CONV", "GELU"), base, *rules, allowed)
    assert two["npu_cycles"] == two["cpu_operators"] == [Status.FAIL]


def test_operators_on_the_cpu_are_shown_where_nothing_is_limited(base: Record) -> None:
    found = statuses(on_cpu(base, "TRANSPOSE_CONV"), base)
    assert found["cpu_operators"] == [Status.NO_BASELINE]


def test_without_base_the_other_bounds_are_judged(base: Record) -> None:
    rule = LimitRule(metric=MetricName.NPU_CYCLES, max=2000, max_ratio_to_base=1)
    verdicts = judge_cell(variant(base, "v"), None, [rule], reproduce, "Vela crashed")
    cycles = [v for v in verdicts if v.metric == "npu_cycles"]
    assert [v.status for v in cycles] == [Status.PASS, Status.INCOMPLETE]
    assert "Vela crashed" in cycles[1].line


@pytest.mark.parametrize(
    ("reason", "promised", "status"),
    [
        ("no cycle model", (), Status.UNAVAILABLE),
        ("everything is on the CPU", (MetricName.NPU_CYCLES,), Status.FAIL),
        ("", (), Status.INCOMPLETE),
    ],
)
def test_an_order_without_a_figure(
    base: Record, reason: str, promised: tuple[MetricName, ...], status: Status
) -> None:
    blind = promising(without(base, "NPU_ACTIVE", reason), *promised)
    verdicts = judge_order("g", [blind, base], 0, reproduce)
    assert worst(verdicts).status is status
    assert reason in worst(verdicts).line


def test_an_order_with_an_operator_on_the_cpu_fails(base: Record) -> None:
    verdicts = judge_order("g", [on_cpu(base, "GELU"), base], 0, reproduce)
    assert {v.metric: v.status for v in verdicts} == {
        "variant_order of encoded_weights_kib": Status.FAIL,
        "variant_order of npu_cycles": Status.FAIL,
    }


AXI0 = ("AXI0_RD_DATA_BEAT_RECEIVED", "AXI0_WR_DATA_BEAT_WRITTEN")

#: What can be taken away from a record, without a word and with one.
TAKEN: dict[str, Callable[[Record], Record]] = {
    "cycles": lambda r: without(r, "NPU_ACTIVE", ""),
    "cycles, told": lambda r: without(r, "NPU_ACTIVE", "gone"),
    "beats": lambda r: without(r, "AXI1_RD_DATA_BEAT_RECEIVED", ""),
    "beats, told": lambda r: without(r, "AXI1_RD_DATA_BEAT_RECEIVED", "gone"),
    "idle": lambda r: without(r, "NPU_IDLE", ""),
    "idle, told": lambda r: without(r, "NPU_IDLE", "gone"),
    "accuracy": lambda r: r.model_copy(update={"accuracy": None}),
    "accuracy, told": lambda r: r.model_copy(update={"accuracy": None, "accuracy_absent": "gone"}),
    "part of the test set": lambda r: r.model_copy(
        update={"accuracy": r.accuracy and r.accuracy.model_copy(update={"samples": 1})}
    ),
    "reference": lambda r: r.model_copy(update={"reference": None}),
    "operators": lambda r: r.model_copy(
        update={"compilation": r.compilation.model_copy(update={"cpu_operators": None})}
    ),
}


@given(
    cycles=st.integers(1, 2000),
    beats=st.integers(1, 2000),
    accuracy=st.floats(0, 1),
    mismatches=st.integers(0, 2),
    left=st.lists(st.sampled_from(["GELU", "TOPK_V2"]), max_size=2),
    bounds=st.fixed_dictionaries(
        {
            MetricName.NPU_CYCLES: st.integers(1, 2000),
            MetricName.INFERENCE_MS: st.integers(0, 2),
            MetricName.AXI1_READ: st.integers(1, 2000),
            MetricName.CPU_OPERATORS: st.integers(0, 2),
        }
    ),
    ratio=st.none() | st.floats(0.5, 2),
    floor=st.floats(0, 1),
    before=st.integers(1, 2000),
    taken=st.sampled_from(sorted(TAKEN)),
)
def test_taking_a_figure_away_never_turns_a_red_run_green(
    base: Record,
    cycles: int,
    beats: int,
    accuracy: float,
    mismatches: int,
    left: list[str],
    bounds: dict[MetricName, int],
    ratio: float | None,
    floor: float,
    before: int,
    taken: str,
) -> None:
    counters = {"NPU_ACTIVE": cycles, "NPU_IDLE": 100, "AXI1_RD_DATA_BEAT_RECEIVED": beats}
    update = {
        "measurement": base.measurement.model_copy(
            update={
                "counters": counters,
                "unavailable": dict.fromkeys(AXI0, "this target has no such counter"),
            }
        ),
        "accuracy": AccuracyRecord(metric=Metric.TOP1, value=accuracy, samples=10),
        "reference": ReferenceRecord(
            interpreter="i", samples=1, elements=9, mismatches=mismatches, largest=1
        ),
        "promised": tuple(
            m for m in MetricName if m not in (MetricName.AXI0_READ, MetricName.AXI0_WRITE)
        ),
    }
    record = on_cpu(variant(base, "v").model_copy(update=update), *left)
    first = on_cpu(variant(base, "base").model_copy(update={**update, **of_base(before)}))
    rules = [LimitRule(metric=metric, max=value) for metric, value in bounds.items()]
    rules.append(LimitRule(metric=MetricName.ACCURACY, min=floor))
    rules.append(LimitRule(metric=MetricName.ACTIVE_SHARE, min=floor))
    if ratio is not None:
        rules.append(LimitRule(metric=MetricName.NPU_CYCLES, max_ratio_to_base=ratio))
        rules.append(LimitRule(metric=MetricName.ACCURACY, max_drop_from_base=ratio - 0.5))

    def red(one: Record, compared: Record | None) -> bool:
        verdicts = [*judge_cell(one, compared, rules, reproduce)]
        if compared is not None:
            verdicts += judge_order("g", [compared, one], 0, reproduce, rules)
        return any(v.status in (Status.FAIL, Status.INCOMPLETE) for v in verdicts)

    if red(record, first):
        take = TAKEN[taken]
        assert red(take(record), first), f"{taken} of the cell"
        assert red(record, take(first)), f"{taken} of its base"
        assert red(take(record), take(first)), f"{taken} of both"
    if any(v.status is Status.FAIL for v in judge_cell(record, first, rules, reproduce)):
        assert red(record, None), "the base as a whole"


def of_base(cycles: int) -> dict[str, object]:
    """What base differs in."""
    counters = {"NPU_ACTIVE": cycles, "NPU_IDLE": 100, "AXI1_RD_DATA_BEAT_RECEIVED": cycles}
    unavailable = dict.fromkeys(AXI0, "this target has no such counter")
    measured = dense_layer_record("base").measurement
    return {
        "measurement": measured.model_copy(
            update={"counters": counters, "unavailable": unavailable}
        )
    }


def test_each_figure_that_can_be_absent_is_taken_away(base: Record) -> None:
    """The others are made of fields that no record can be without."""
    counters = {**base.measurement.counters, "NPU_IDLE": 100}
    whole = base.model_copy(
        update={
            "measurement": base.measurement.model_copy(update={"counters": counters}),
            "reference": ReferenceRecord(
                interpreter="i", samples=1, elements=9, mismatches=0, largest=0
            ),
        }
    )
    whole = on_cpu(whole)
    present = {m for m in MetricName if not isinstance(metric_value(whole, m), Absent)}
    assert set(MetricName) - present == {MetricName.AXI0_READ, MetricName.AXI0_WRITE}
    taken = {
        metric
        for metric in present
        if any(isinstance(metric_value(take(whole), metric), Absent) for take in TAKEN.values())
    }
    # A network without weights has no ratio of them; that is no figure that was lost.
    assert present - taken == {
        MetricName.ENCODED_WEIGHTS,
        MetricName.ENCODING_RATIO,
        MetricName.DEVICE_MODEL,
        MetricName.SRAM,
        MetricName.FLASH,
        MetricName.MACS,
        MetricName.MEMORY_WAIT,
    }
    for field in ("report", "device_model_bytes"):
        document = base.model_dump(mode="json")
        del document["compilation"][field]
        with pytest.raises(ValidationError, match=field):
            Record.model_validate(document)


def sweep_status(directory: Path, expected: str, make: Callable[[int, Cell], Record]) -> Status:
    """How a sweep over 64 and 128 MACs is judged whose records `make` makes, of place and cell."""
    config = parse_config(
        '[grid]\nmacs = [64, 128]\nmemory_modes = ["Shared_Sram"]\ntargets = ["vela"]\n'
        f'[workloads.w]\nmodel = "w.tflite"\nexpect_bound = {{ Shared_Sram = "{expected}" }}\n',
        directory / "bench.toml",
    )
    (group,) = make_plan(config).sweeps
    manifest = RunManifest.now(
        config_path=Path("bench.toml"),
        config_sha256="",
        data="d",
        cells=group.cells,
        config_lines={},
        timing={},
        surroundings=Surroundings(),
    )
    records = {cell: make(number, cell) for number, cell in enumerate(group.cells)}
    run = RunDirectory.create(directory, manifest)
    judge = Judge(config, records.__getitem__, run, reproduce, NOTHING, Policy.at_a_desk())
    return judge.sweep(group).verdict.status


@pytest.mark.parametrize("taken", sorted(TAKEN))
@pytest.mark.parametrize("of", [0, 1])
def test_a_red_sweep_stays_red(base: Record, tmp_path: Path, taken: str, of: int) -> None:
    def outcome(name: str, take: Callable[[Record], Record]) -> Status:
        def make(number: int, cell: Cell) -> Record:
            record = base.model_copy(update={"cell": CellIdentity.of(cell)})
            record = promising(record, MetricName.NPU_CYCLES)
            return take(record) if number == of else record

        return sweep_status(tmp_path / name, "memory", make)

    assert outcome("whole", lambda record: record) is Status.FAIL
    assert outcome("taken", TAKEN[taken]) in (Status.FAIL, Status.INCOMPLETE)
    unbound = outcome("unbound", lambda record: record.model_copy(update={"binding": {}}))
    assert unbound is Status.INCOMPLETE


@pytest.mark.parametrize("of", [0, 1])
@pytest.mark.parametrize("left", [("GELU",), ("GELU", "TOPK_V2")])
def test_a_sweep_with_an_operator_on_the_cpu_meets_no_expectation(
    base: Record, tmp_path: Path, of: int, left: tuple[str, ...]
) -> None:
    """What is left of a network on the NPU is bound by other things than the network."""

    def outcome(name: str, *operators: str) -> Status:
        def make(number: int, cell: Cell) -> Record:
            # Twice the MACs take half the time, so they are what binds.
            record = variant(base, cell.variant, cycles=2000 >> number).model_copy(
                update={"cell": CellIdentity.of(cell), "binding": {"compute": 1.0}}
            )
            return on_cpu(record, *operators) if number == of else record

        return sweep_status(tmp_path / name, "compute", make)

    assert outcome("whole") is Status.PASS
    assert outcome("left", *left) is Status.FAIL


def test_no_limit_is_never_said_where_one_is(base: Record) -> None:
    """One for another cell or another metric does not judge this figure, and is one."""
    for rule in (
        LimitRule(metric=MetricName.NPU_CYCLES, max=1, variants=("pruned",)),
        LimitRule(metric=MetricName.NPU_CYCLES, max=1, macs=(Accelerator.U55_32,)),
        LimitRule(metric=MetricName.NPU_CYCLES, max=1, memory_modes=(MemoryMode.SRAM_ONLY,)),
        LimitRule(metric=MetricName.ACCURACY, min=0),
    ):
        (verdict,) = [
            v for v in judge_cell(base, base, [rule], reproduce) if v.metric == "npu_cycles"
        ]
        assert verdict.status is Status.NO_BASELINE
        assert verdict.reason == "no limit of workloads.w.limits is for this cell"


@pytest.mark.parametrize(
    ("expected", "status"),
    [("memory", Status.PASS), ("compute", Status.FAIL), (None, Status.NO_BASELINE)],
)
def test_a_sweep_is_held_against_the_expectation(expected: str | None, status: Status) -> None:
    result = SweepResult("memory", 0.13, {}, "off_chip_flash", 0.9, "because")
    verdict = judge_sweep("g", result, expected, reproduce)  # type: ignore[arg-type]
    assert verdict.status is status
    assert "because" in verdict.line


def test_sizes_are_kib(base: Record) -> None:
    report = base.compilation.report
    assert metric_value(base, MetricName.ENCODED_WEIGHTS) == report.encoded_weights_bytes / 1024


def test_a_record_survives_json(base: Record) -> None:
    assert Record.model_validate_json(base.model_dump_json()) == base


def test_memory_that_does_not_suffice_is_told_in_full(base: Record) -> None:
    rule = LimitRule(metric=MetricName.SRAM, max=0.01)
    (verdict,) = (v for v in judge_cell(base, base, [rule], reproduce) if v.metric == "sram_kib")
    assert verdict.status is Status.FAIL
    assert "0.28 KiB are needed, 0.01 KiB allowed, 0.27 KiB too much" in verdict.line


def test_figures_that_follow_from_others(base: Record) -> None:
    report = base.compilation.report
    ratio = report.encoded_weights_bytes / report.original_weights_bytes
    assert metric_value(base, MetricName.ENCODING_RATIO) == ratio > 1
    assert metric_value(base, MetricName.MACS) == report.macs
    assert metric_value(base, MetricName.INFERENCE_MS) == 1000 * 1000 / 500e6
    assert metric_value(base, MetricName.SRAM) == report.sram.used_bytes / 1024
    sram_only = base.model_copy(
        update={"cell": base.cell.model_copy(update={"memory_mode": MemoryMode.SRAM_ONLY})}
    )
    constants = report.on_chip_flash.used_bytes
    assert metric_value(sram_only, MetricName.SRAM) == (report.sram.used_bytes + constants) / 1024


def test_the_active_share_needs_both_counts(base: Record) -> None:
    missing = metric_value(base, MetricName.ACTIVE_SHARE)
    assert isinstance(missing, Absent)
    assert "NPU_IDLE" in missing.reason
    counted = base.model_copy(
        update={
            "measurement": base.measurement.model_copy(
                update={"counters": {"NPU_ACTIVE": 750, "NPU_IDLE": 250}}
            )
        }
    )
    assert metric_value(counted, MetricName.ACTIVE_SHARE) == 0.75


def uncertain(record: Record, low: int, high: int, *unsupported: str) -> Record:
    """`record` as the simulator's, whose cycles could be from `low` to `high`."""
    found = {"NPU_ACTIVE": Uncertainty(low=low, high=high)}
    update = {
        "source": Source.SIMULATED,
        "uncertainty": found,
        "unsupported": unsupported,
    }
    return record.model_copy(update={"measurement": record.measurement.model_copy(update=update)})


@given(limit=st.integers(700, 1300), below=st.integers(0, 200), above=st.integers(0, 200))
def test_a_verdict_that_the_estimate_leaves_open_says_so_and_stays_what_it_is(
    base: Record, limit: int, below: int, above: int
) -> None:
    rule = LimitRule(metric=MetricName.NPU_CYCLES, max=limit)
    record = uncertain(base, 1000 - below, 1000 + above)
    for metric in ("npu_cycles", "inference_ms"):
        (told,) = (v for v in judge_cell(record, base, [rule], reproduce) if v.metric == metric)
        (plain,) = (v for v in judge_cell(base, base, [rule], reproduce) if v.metric == metric)
        assert (told.status, told.fails) == (plain.status, plain.fails)
        inside = metric == "npu_cycles" and 1000 - below <= limit <= 1000 + above
        assert ("the limit is within the estimate's uncertainty" in told.reason) == inside
        if inside:
            assert f"{1000 - below:,} to {1000 + above:,} cycles" in told.reason


def test_what_cycles_could_be_is_told_from_two_percent_on(base: Record) -> None:
    def remark(record: Record, metric: MetricName = MetricName.NPU_CYCLES) -> str:
        (verdict,) = (v for v in judge_cell(record, base, [], reproduce) if v.metric == metric)
        return verdict.remark

    assert "could be" not in remark(uncertain(base, 980, 1020))
    assert remark(uncertain(base, 979, 1005)).endswith("; could be -2.1% to +0.5%")
    assert "could be -2.1% to +0.5%" in remark(uncertain(base, 979, 1005), MetricName.INFERENCE_MS)
    assert "could be" not in remark(uncertain(base, 900, 1100), MetricName.AXI1_READ)
    published = remark(uncertain(base, 1000, 1000, "int16", "Sram_Only"))
    assert published.endswith("; nothing published for int16 and Sram_Only")


def test_older_records_leave_nothing_open_because_nobody_asked(base: Record) -> None:
    document = json.loads(uncertain(base, 900, 1100, "int16").model_dump_json())
    del document["measurement"]["uncertainty"], document["measurement"]["unsupported"]
    record = Record.model_validate(document)
    rule = LimitRule(metric=MetricName.NPU_CYCLES, max=1000)
    (verdict,) = (
        v for v in judge_cell(record, base, [rule], reproduce) if v.metric == "npu_cycles"
    )
    assert verdict.reason == "workloads.w.limits[0].max"
    assert "published" not in verdict.remark
