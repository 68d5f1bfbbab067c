"""A tolerance for outputs that differ from the reference: narrow, and told each time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import ConfigError
from bench.judging.tolerances import exceeded
from bench.judging.verdicts import judge_cell
from bench.plan.config import LimitRule, parse_config
from bench.plan.metrics import MetricName
from bench.plan.tolerance import WIDEST, WIDEST_BY_DTYPE, Tolerance
from bench.records.quality import OutputDifference, ReferenceRecord
from bench.records.record import Record, Status, Verdict
from targets.ethos_u55.accelerators import Accelerator
from tests.support.records import dense_layer_record

PATH = Path("bench.toml")
FILE = """
[grid]
macs = [128]
memory_modes = ["Shared_Sram"]
[workloads.net]
model = "net.tflite"
[[workloads.net.limits]]
metric = "reference_mismatches"
"""
WHY = "LEAKY_RELU: Vela divides in float32"


def output(
    mismatches: int, largest: int, elements: int = 1000, dtype: str = "int16"
) -> OutputDifference:
    return OutputDifference(dtype=dtype, elements=elements, mismatches=mismatches, largest=largest)


def compared(*outputs: OutputDifference) -> ReferenceRecord:
    return ReferenceRecord(
        interpreter="i",
        samples=1,
        elements=sum(one.elements for one in outputs),
        mismatches=sum(one.mismatches for one in outputs),
        largest=max(one.largest for one in outputs),
        outputs=outputs,
    )


def rule(steps: int = 2, share: float = 0.02, macs: Accelerator | None = None) -> LimitRule:
    return LimitRule(
        metric=MetricName.REFERENCE,
        macs=None if macs is None else (macs,),
        max_steps=steps,
        max_share=share,
        reason=WHY,
    )


def verdict(reference: ReferenceRecord | None, *rules: LimitRule) -> Verdict:
    """The one verdict on the mismatches of a cell of 128 MACs."""
    record: Record = dense_layer_record("base").model_copy(
        update={"reference": reference, "reference_absent": "" if reference else "it died"}
    )
    found = judge_cell(record, record, rules, lambda metric, subject: "")
    (one,) = (v for v in found if v.metric == MetricName.REFERENCE.value)
    return one


def test_without_one_nothing_may_differ() -> None:
    assert verdict(compared(output(0, 0))).status is Status.PASS
    found = verdict(compared(output(3, 1)))
    assert found.status is Status.FAIL
    assert "3 of 1,000 elements (0.3 %), by up to 1 step" in found.line


def test_the_verdict_names_steps_share_and_reason() -> None:
    found = verdict(compared(output(3, 2)), rule())
    assert found.status is Status.PASS
    for part in ("0.3 %", "by up to 2 steps", "2 steps in 2 % of each", "limits[0]", WHY):
        assert part in found.line
    assert found.key == "workloads.w.limits[0].max_steps"


@pytest.mark.parametrize(("mismatches", "largest"), [(21, 1), (1, 3), (1000, 30000)])
def test_more_steps_or_more_elements_fail(mismatches: int, largest: int) -> None:
    found = verdict(compared(output(mismatches, largest)), rule())
    assert found.status is Status.FAIL
    assert f"output 0 (int16) differs in {mismatches:,} of 1,000" in found.line
    assert WHY in found.line


def test_what_was_not_needed_is_said() -> None:
    found = verdict(compared(output(0, 0)), rule())
    assert found.status is Status.PASS
    assert "not needed" in found.line


def test_it_applies_only_to_the_cells_that_it_names() -> None:
    assert verdict(compared(output(1, 1)), rule(macs=Accelerator.U55_256)).status is Status.FAIL
    assert verdict(compared(output(1, 1)), rule(macs=Accelerator.U55_128)).status is Status.PASS


def test_a_small_output_does_not_hide_behind_a_large_one() -> None:
    large, small = output(0, 0, elements=100_000), output(4, 1, elements=4)
    found = verdict(compared(large, small), rule())
    assert found.status is Status.FAIL
    assert "output 1 (int16) differs in 4 of 4 elements (100 %)" in found.line


@pytest.mark.parametrize(
    ("dtype", "mismatches", "largest", "passes"),
    [
        ("int16", 100, 8, True),
        ("int8", 4, 1, True),
        ("int8", 5, 1, False),
        ("int8", 1, 2, False),
        ("uint8", 1, 2, False),
        ("int32", 1, 1, False),
    ],
)
def test_no_limit_tolerates_more_than_the_type_allows(
    dtype: str, mismatches: int, largest: int, passes: bool
) -> None:
    reference = compared(output(mismatches, largest, dtype=dtype))
    found = verdict(reference, rule(WIDEST.steps, WIDEST.share))
    assert (found.status is Status.PASS) == passes, found.line


def test_a_missing_comparison_is_no_difference() -> None:
    found = verdict(None, rule())
    assert found.status is Status.FAIL
    assert "has lost its figure: it died" in found.line
    old = compared(output(1, 1)).model_copy(update={"outputs": ()})
    assert verdict(old, rule()).status is Status.FAIL


differences = st.builds(
    OutputDifference,
    dtype=st.sampled_from(["int8", "uint8", "int16", "int32"]),
    elements=st.just(1000),
    mismatches=st.integers(0, 120),
    largest=st.integers(1, 10),
).map(lambda one: one if one.mismatches else one.model_copy(update={"largest": 0}))
tolerances = st.builds(Tolerance, st.integers(1, WIDEST.steps), st.floats(0.0001, WIDEST.share))


@given(st.lists(differences, min_size=1, max_size=3), tolerances, tolerances)
def test_a_stricter_tolerance_never_passes_what_a_looser_one_fails(
    outputs: list[OutputDifference], one: Tolerance, other: Tolerance
) -> None:
    strict, reference = one.within(other), compared(*outputs)
    for loose in (one, other):
        if exceeded(reference, loose):
            assert exceeded(reference, strict)
    # None at all is the strictest.
    if exceeded(reference, strict):
        assert reference.mismatches
    assert verdict(reference, rule(one.steps, one.share)).status is (
        Status.FAIL if exceeded(reference, one) else Status.PASS
    )


@given(st.lists(differences, min_size=1, max_size=3), tolerances)
def test_more_differences_never_turn_red_green(
    outputs: list[OutputDifference], tolerance: Tolerance
) -> None:
    worse = [
        one.model_copy(update={"mismatches": one.mismatches + 1, "largest": one.largest + 1})
        for one in outputs
    ]
    if exceeded(compared(*outputs), tolerance):
        assert exceeded(compared(*worse), tolerance)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max = 5", "a number of reference_mismatches says nothing of how wrong they are"),
        ("min = 1", "a number of reference_mismatches says nothing"),
        ("max_ratio_to_base = 2.0", "a number of reference_mismatches says nothing"),
        ("max_steps = 1", "needs max_steps, max_share and reason, all three"),
        ("max_steps = 1\nmax_share = 0.01", "needs max_steps, max_share and reason, all three"),
        ('reason = "x"', "needs max_steps, max_share and reason, all three"),
        ('max_steps = 1\nmax_share = 0.01\nreason = ""', "limits[0].reason: "),
        ('max_steps = 1\nmax_share = 0.01\nreason = "  "', "reason is empty"),
        ('max_steps = 0\nmax_share = 0.01\nreason = "x"', "limits[0].max_steps: "),
        ('max_steps = 9\nmax_share = 0.01\nreason = "x"', "limits[0].max_steps: "),
        ('max_steps = 1\nmax_share = 0.11\nreason = "x"', "limits[0].max_share: "),
        ('max_steps = 1\nmax_share = 0\nreason = "x"', "limits[0].max_share: "),
        ('max = 0\nmax_steps = 1\nmax_share = 0.01\nreason = "x"', "give one"),
        ("", "states no bound"),
    ],
)
def test_a_tolerance_that_could_hide_a_wrong_result_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config(FILE + text, PATH)
    assert str(raised.value).startswith("bench.toml: workloads.net.limits[0]")
    assert said in str(raised.value)


def test_its_keys_are_for_no_other_metric() -> None:
    text = FILE.replace("reference_mismatches", "npu_cycles")
    with pytest.raises(ConfigError, match="are for reference_mismatches only"):
        parse_config(f"{text}max = 1\nmax_steps = 1", PATH)


def test_no_type_allows_more_than_the_configuration() -> None:
    for widest in WIDEST_BY_DTYPE.values():
        assert widest.within(WIDEST) == widest
