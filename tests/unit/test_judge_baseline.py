"""Figures against accepted ones: what counts as a change, what it is called, what it fails."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.baselines.accepted import AcceptedSweep, Baselines
from bench.judging.baseline import judge_against_accepted
from bench.judging.bounds import stated_direction
from bench.judging.groups import judge_sweep_against_accepted
from bench.judging.policy import Policy
from bench.judging.sweep import SweepResult
from bench.judging.verdicts import decisive, judge_cell, worst
from bench.plan.config import BaselineConfig, Binding, LimitRule
from bench.plan.config.baselines import ToleranceRule
from bench.plan.metrics import Better, MetricName, describe
from bench.records.figures import Number
from bench.records.quality import AccuracyRecord
from bench.records.record import Record, Status, UnmeasuredRecord, Verdict
from targets.protocol import LayerCycles, Source, Uncertainty
from tests.support.baselines import accepted
from tests.support.records import dense_layer_record

SHARE = 0.5
NO_TOLERANCES = BaselineConfig()


def reproduce(metric: str, subject: str) -> str:
    return f"pytest {metric} {subject}"


@pytest.fixture(scope="module")
def record() -> Record:
    return dense_layer_record("base")


def changed(record: Record, part: str, **update: object) -> Record:
    return record.model_copy(update={part: getattr(record, part).model_copy(update=update)})


def with_cycles(record: Record, cycles: int) -> Record:
    counters = {**record.measurement.counters, "NPU_ACTIVE": cycles}
    return changed(record, "measurement", counters=counters)


def retrained(record: Record) -> Record:
    return changed(record, "model", sha256="e" * 64)


def judged(
    record: Record, baselines: Baselines, config: BaselineConfig = NO_TOLERANCES
) -> dict[str, Verdict]:
    found = judge_against_accepted(record, baselines, config, SHARE, reproduce)
    return {verdict.metric: verdict for verdict in found}


def test_the_same_cell_passes_in_every_metric(record: Record) -> None:
    found = judged(record, accepted(record))
    assert {v.status for v in found.values()} == {Status.PASS}
    assert set(found) >= {"npu_cycles", "accuracy", "sram_kib", "memory_bound"}


@pytest.mark.parametrize(("cycles", "status"), [(1001, Status.FAIL), (999, Status.IMPROVED)])
def test_any_change_of_the_accepted_model_counts(
    record: Record, cycles: int, status: Status
) -> None:
    verdict = judged(with_cycles(record, cycles), accepted(record))["npu_cycles"]
    assert verdict.status is status
    assert verdict.baseline == Number(value=1000, unit="cycles")
    assert verdict.tolerance is None


@pytest.mark.parametrize(("cycles", "status"), [(1030, Status.FAIL), (960, Status.IMPROVED)])
def test_a_change_within_the_estimates_uncertainty_says_so_and_stays_what_it_is(
    record: Record, cycles: int, status: Status
) -> None:
    now = with_cycles(record, cycles)
    for low, high, said in ((950, 1050, True), (cycles - 5, cycles + 5, False)):
        open_ = {"NPU_ACTIVE": Uncertainty(low=low, high=high)}
        verdict = judged(changed(now, "measurement", uncertainty=open_), accepted(record))
        assert verdict["npu_cycles"].status is status
        words = f"the accepted figure is within the estimate's uncertainty, {low:,} to {high:,}"
        assert (words in verdict["npu_cycles"].reason) is said


def test_a_retrained_model_may_vary_within_both_widths(record: Record) -> None:
    config = BaselineConfig(tolerances=(ToleranceRule(relative=0.1, absolute=150),))
    for cycles, status in (
        (1150, Status.PASS),
        (1151, Status.FAIL),
        (850, Status.PASS),
        (849, Status.IMPROVED),
    ):
        verdict = judged(retrained(with_cycles(record, cycles)), accepted(record), config)
        assert verdict["npu_cycles"].status is status
        assert verdict["npu_cycles"].tolerance == Number(value=150, unit="cycles")
    large = with_cycles(record, 10_000)
    for cycles, status in ((11_000, Status.PASS), (11_001, Status.FAIL)):
        verdict = judged(retrained(with_cycles(record, cycles)), accepted(large), config)
        assert verdict["npu_cycles"].status is status, "the relative width, where it is wider"


def test_a_board_may_vary_with_the_same_model(record: Record) -> None:
    board = changed(record, "measurement", source=Source.BOARD)
    assert judged(with_cycles(board, 1001), accepted(board))["npu_cycles"].status is Status.PASS
    far = judged(with_cycles(board, 1301), accepted(board))["npu_cycles"]
    assert far.status is Status.FAIL
    assert "the bench's own tolerance tolerates 300 cycles" in far.reason


def test_the_last_tolerance_that_matches_decides(record: Record) -> None:
    rules = (
        ToleranceRule(absolute=500),
        ToleranceRule(absolute=5, metrics=(MetricName.NPU_CYCLES,), cells=("w-base-*",)),
        ToleranceRule(absolute=900, cells=("other-*",)),
    )
    one = retrained(with_cycles(record, 1006))
    verdict = judged(one, accepted(record), BaselineConfig(tolerances=rules))["npu_cycles"]
    assert verdict.status is Status.FAIL
    assert "baselines.tolerances[1] tolerates 5 cycles" in verdict.reason


def test_a_lost_figure_fails_and_a_new_one_has_no_baseline(record: Record) -> None:
    blind = record.model_copy(update={"accuracy": None, "accuracy_absent": "the labels are gone"})
    lost = judged(blind, accepted(record))["accuracy"]
    assert lost.status is Status.FAIL
    assert "has lost its figure: the labels are gone; accepted 2026-11-29" in lost.reason
    assert judged(record, accepted(blind))["accuracy"].status is Status.NO_BASELINE


def test_a_cell_without_a_row_has_no_baseline_and_without_a_file_nothing_is_said(
    record: Record,
) -> None:
    other = record.model_copy(update={"cell": record.cell.model_copy(update={"id": "other"})})
    found = judged(record, accepted(other))
    assert {v.status for v in found.values()} == {Status.NO_BASELINE}
    assert judged(record, Baselines(origin="o")) == {}


def test_the_cause_is_named(record: Record) -> None:
    compiled = changed(record, "compilation", vela_version="6.0.0", sha256="9" * 64)
    verdict = judged(with_cycles(compiled, 1100), accepted(record))["npu_cycles"]
    before = record.compilation.vela_version
    assert f"cause: Vela: version {before} -> 6.0.0" in verdict.reason
    plain = judged(with_cycles(record, 1100), accepted(record))["npu_cycles"]
    assert "cause: nothing recorded differs" in plain.reason


def test_operators_that_left_the_npu_are_no_gain(record: Record) -> None:
    left = changed(record, "compilation", cpu_operators=("SOFTMAX",))
    whole = changed(record, "compilation", cpu_operators=())
    found = judged(with_cycles(left, 10), accepted(whole))
    assert found["npu_cycles"].status is Status.FAIL
    assert "1 operators run on the CPU (SOFTMAX), 0 did" in found["npu_cycles"].reason
    assert found["cpu_operators"].status is Status.FAIL
    assert judged(with_cycles(left, 1000), accepted(left))["npu_cycles"].status is Status.PASS


def test_figures_on_other_data_are_not_compared(record: Record) -> None:
    other = changed(record, "data", name="other", sha256="f" * 64)
    found = judged(other, accepted(record))
    assert found["accuracy"].status is Status.NO_BASELINE
    assert found["npu_cycles"].status is Status.PASS, "the model is the accepted one"
    trained = changed(record, "model", provenance={"data_sha256": "1" * 64})
    elsewhere = changed(retrained(other), "model", provenance={"data_sha256": "2" * 64})
    found = judged(elsewhere, accepted(trained))
    assert {v.status for m, v in found.items() if m != "memory_bound"} == {Status.NO_BASELINE}


def test_changed_data_of_the_same_name_is_compared_and_named(record: Record) -> None:
    shuffled = changed(record, "data", sha256="f" * 64)
    worse = shuffled.model_copy(
        update={"accuracy": AccuracyRecord(metric="top1", value=0.1, samples=10)}
    )
    verdict = judged(worse, accepted(record))["accuracy"]
    assert verdict.status is Status.FAIL
    assert "cause: data: test sha256 000000000000 -> ffffffffffff" in verdict.reason
    same = judged(shuffled, accepted(record))["accuracy"]
    assert same.status is Status.INCOMPLETE, "a smaller test set proves nothing"


def layers(**cycles: tuple[int, int]) -> tuple[LayerCycles, ...]:
    """Layer -> cycles of its multipliers and of the flash."""
    return tuple(
        LayerCycles(
            name=f"Conv 1x1x8 @{i}",
            layer=name,
            compute=compute,
            weight_decode=0,
            flash=flash,
            sram=0,
            issue=0,
            total=max(compute, flash),
            bound_by="flash" if flash > compute else "compute",
            block="1x1x8",
        )
        for i, (name, (compute, flash)) in enumerate(cycles.items())
    )


def with_layers(record: Record, **cycles: tuple[int, int]) -> Record:
    rows = layers(**cycles)
    total = sum(row.total for row in rows)
    binding: dict[str, float] = {}
    for row in rows:
        binding[row.bound_by] = binding.get(row.bound_by, 0) + row.total / total
    measured = changed(record, "measurement", layers=rows, source=Source.SIMULATED)
    return with_cycles(measured, total).model_copy(update={"binding": binding})


def test_a_cell_that_turns_memory_bound_fails_within_its_cycles(record: Record) -> None:
    before = with_layers(record, a=(600, 500), b=(400, 100))
    turned = with_layers(record, a=(400, 600), b=(390, 100))
    found = judged(turned, accepted(before))
    assert found["npu_cycles"].status is Status.IMPROVED, "990 cycles instead of 1,000"
    verdict = found["memory_bound"]
    assert verdict.status is Status.FAIL
    assert "a waits 200 of its 600 cycles for flash" in verdict.reason
    assert "0 when accepted" in verdict.reason
    assert "cycles that wait: 20% for flash" in verdict.reason
    assert found["memory_wait_share"].status is Status.FAIL
    back = judged(before, accepted(turned))
    assert back["memory_bound"].status is Status.IMPROVED


def test_layers_that_took_longer_are_named(record: Record) -> None:
    before = with_layers(record, a=(600, 0), b=(400, 0), c=(5, 0))
    after = with_layers(record, a=(600, 0), b=(700, 0), d=(9, 0))
    reason = judged(after, accepted(before))["npu_cycles"].reason
    assert "layers: b +300 cycles, d +9 cycles (new), c -5 cycles (gone)" in reason


def test_what_fails_depends_on_where_it_runs(record: Record) -> None:
    improved = judged(with_cycles(record, 999), accepted(record))["npu_cycles"]
    (at_desk,) = Policy.at_a_desk().applied([improved])
    (strict,) = Policy.at_a_desk("fail").applied([improved])
    assert (at_desk.fails, strict.fails) == (False, True)
    none = [v for v in judge_cell(record, record, (), reproduce) if v.metric == "npu_cycles"]
    assert [v.fails for v in Policy.at_a_desk().applied(none)] == [False]
    assert [v.fails for v in Policy.in_ci().applied(none)] == [True]
    never = record.model_copy(update={"promised": ()})
    absent = [v for v in judge_cell(never, never, (), reproduce) if v.metric == "axi0_read_beats"]
    assert [v.status for v in absent] == [Status.UNAVAILABLE]
    assert [v.fails for v in Policy.in_ci().applied(absent)] == [False]
    promised = [
        v for v in judge_cell(record, record, (), reproduce) if v.metric == absent[0].metric
    ]
    assert [v.fails for v in Policy.in_ci().applied(promised)] == [True]
    every = judge_cell(record, record, (), reproduce, covered=True)
    known = [v for v in every if v.metric == absent[0].metric]
    assert [v.fails for v in Policy.in_ci().applied(known)] == [False], "it was accepted as missing"


def test_a_target_that_is_not_there_fails_in_ci(record: Record) -> None:
    for status, desk in ((Status.UNAVAILABLE, False), (Status.INCOMPLETE, True)):
        one = UnmeasuredRecord(cell=record.cell, status=status, error="E", reason="no board")
        assert one.fails is desk
        assert Policy.at_a_desk().applied_to(one).fails is desk
        assert Policy.in_ci().applied_to(one).fails


def test_what_is_judged_is_not_also_unjudged(record: Record) -> None:
    compared = judged(record, accepted(record))
    limited = judge_cell(record, record, (), reproduce, "", compared, covered=True)
    assert "npu_cycles" not in {v.metric for v in limited}
    rules = [LimitRule(metric=MetricName.NPU_CYCLES, max=1)]
    limited = judge_cell(record, record, rules, reproduce, "", compared, covered=True)
    found = [v.status for v in limited if v.metric == "npu_cycles"]
    assert found == [Status.FAIL], "a limit is judged all the same"


CYCLES = st.integers(1, 100_000)


@given(before=CYCLES, one=CYCLES, other=CYCLES, again=st.booleans(), width=st.floats(0, 1))
def test_worse_is_never_judged_better(
    before: int, one: int, other: int, again: bool, width: float
) -> None:
    order = (Status.IMPROVED, Status.PASS, Status.FAIL)
    config = BaselineConfig(tolerances=(ToleranceRule(relative=width),))
    base = dense_layer_record("base")
    found = []
    for cycles in sorted((one, other)):
        now = with_cycles(retrained(base) if again else base, cycles)
        verdict = judged(now, accepted(with_cycles(base, before)), config)["npu_cycles"]
        found.append(order.index(verdict.status))
    assert found[0] <= found[1]


@given(before=CYCLES, now=CYCLES, one=st.floats(0, 1), other=st.floats(0, 1))
def test_a_stricter_tolerance_never_passes_what_a_looser_one_fails(
    before: int, now: int, one: float, other: float
) -> None:
    base = dense_layer_record("base")
    found = [
        judged(
            retrained(with_cycles(base, now)),
            accepted(with_cycles(base, before)),
            BaselineConfig(tolerances=(ToleranceRule(relative=width),)),
        )["npu_cycles"].status
        for width in sorted((one, other))
    ]
    if found[1] is Status.FAIL:
        assert found[0] is Status.FAIL


@given(measured=CYCLES, one=CYCLES, other=CYCLES)
def test_a_stricter_limit_never_passes_what_a_looser_one_fails(
    measured: int, one: int, other: int
) -> None:
    base = dense_layer_record("base")
    strict, loose = sorted((one, other))
    now = with_cycles(base, measured)

    def fails(limit: LimitRule) -> bool:
        return any(v.fails for v in judge_cell(now, base, [limit], reproduce) if v.limit)

    assert fails(LimitRule(metric=MetricName.NPU_CYCLES, max=strict)) >= fails(
        LimitRule(metric=MetricName.NPU_CYCLES, max=loose)
    )
    assert fails(LimitRule(metric=MetricName.NPU_CYCLES, min=loose)) >= fails(
        LimitRule(metric=MetricName.NPU_CYCLES, min=strict)
    )


def sweep(binding: Binding, efficiency: float) -> SweepResult:
    return SweepResult(binding, efficiency, {}, "", 0, "r")


@pytest.mark.parametrize(
    ("binding", "efficiency", "status"),
    [
        ("compute", 0.8, Status.PASS),
        ("compute", 0.79, Status.PASS),
        ("compute", 0.78, Status.FAIL),
        ("compute", 0.82, Status.IMPROVED),
        ("memory", 0.8, Status.FAIL),
    ],
)
def test_a_sweep_that_scales_worse_fails_and_names_layers(
    binding: Binding, efficiency: float, status: Status
) -> None:
    before = Baselines(
        origin="o",
        sweeps={
            "g": AcceptedSweep(efficiency=0.8, binding="compute", since=datetime.date(2026, 11, 29))
        },
    )
    layers = {"a": 0.9, "b": 0.1, "c": 0.5, "d": 0.6}
    verdict = judge_sweep_against_accepted(
        "g", sweep(binding, efficiency), layers, before, reproduce
    )
    assert verdict is not None
    assert verdict.status is status
    assert ("b 0.10, c 0.50, d 0.60" in verdict.reason) == (status is Status.FAIL)
    other = judge_sweep_against_accepted("x", sweep(binding, efficiency), layers, before, reproduce)
    assert other is not None
    assert other.status is Status.NO_BASELINE
    nothing = Baselines(origin="o")
    assert judge_sweep_against_accepted("g", sweep(binding, 1), layers, nothing, reproduce) is None


@given(st.permutations(list(MetricName)))
def test_the_order_of_rows_does_not_matter(order: list[MetricName]) -> None:
    base = dense_layer_record("base")
    baselines = accepted(base)
    cell = baselines.cells[base.cell.id]
    shuffled = cell.model_copy(
        update={"figures": {m: cell.figures[m] for m in order if m in cell.figures}}
    )
    other = baselines.model_copy(update={"cells": {base.cell.id: shuffled}})
    now = with_cycles(base, 1100)
    assert judged(now, other) == judged(now, baselines)


@given(st.permutations([Status.PASS, Status.IMPROVED, Status.NO_BASELINE, Status.FAIL]))
def test_what_fails_decides_whatever_the_order(order: list[Status]) -> None:
    one = judged(dense_layer_record("base"), accepted(dense_layer_record("base")))["npu_cycles"]
    verdicts = [
        one.model_copy(update={"status": status, "fails": status is Status.FAIL})
        for status in order
    ]
    assert worst(verdicts).status is Status.FAIL
    assert decisive(verdicts).status is Status.FAIL
    rest = [v for v in verdicts if not v.fails]
    assert decisive(rest).status is Status.IMPROVED


def test_each_metric_says_which_way_is_better() -> None:
    assert {m for m in MetricName if describe(m).better is Better.HIGHER} == {
        MetricName.ACCURACY,
        MetricName.ACTIVE_SHARE,
    }


def with_accuracy(record: Record, merit: str, value: float) -> Record:
    return record.model_copy(
        update={"accuracy": AccuracyRecord(metric=merit, value=value, samples=10)}
    )


@pytest.mark.parametrize(
    ("merit", "limit", "rising"),
    [
        ("top1", {"min": 0}, Status.IMPROVED),
        ("auc", {"min": 0}, Status.IMPROVED),
        ("mse", {"max": 9}, Status.FAIL),
        ("mae", {"max": 9}, Status.FAIL),
        ("metrics.py:f", {"max": 9}, Status.FAIL),
        ("metrics.py:f", {"min": 0}, Status.IMPROVED),
        ("metrics.py:f", None, Status.FAIL),
    ],
)
def test_an_error_improves_downwards_and_an_unknown_figure_never(
    record: Record, merit: str, limit: dict[str, float] | None, rising: Status
) -> None:
    rules = [LimitRule(metric=MetricName.ACCURACY, **limit)] if limit else []
    before, after = (with_accuracy(record, merit, value) for value in (0.5, 0.9))
    stated = stated_direction(MetricName.ACCURACY, rules)

    def status(now: Record, accepted_one: Record) -> Status:
        found = judge_against_accepted(
            now, accepted(accepted_one), NO_TOLERANCES, SHARE, reproduce, stated
        )
        return next(v.status for v in found if v.metric == "accuracy")

    assert status(after, before) is rising
    falling = {Status.FAIL: Status.IMPROVED, Status.IMPROVED: Status.FAIL}[rising]
    assert status(before, after) is (falling if limit else Status.FAIL)


def test_another_figure_of_merit_is_not_compared(record: Record) -> None:
    verdict = judged(with_accuracy(record, "f1", 0.99), accepted(record))["accuracy"]
    assert verdict.status is Status.INCOMPLETE
    assert "accepted as top1, measured as f1" in verdict.reason
    assert "cause: data: metric top1 -> f1" in verdict.reason
