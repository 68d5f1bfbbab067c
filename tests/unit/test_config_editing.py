"""Changes to the user's own file: only what was wanted, and everything else as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import ConfigError
from bench.plan.config import FrozenModel, ToleranceRule, parse_config
from bench.plan.config.editing import (
    replace_config,
    tolerances_toml,
    with_frozen,
    with_tolerances,
)
from bench.plan.metrics import MetricName
from tests.support.bench_runs import DEFAULT_CONFIG

PATH = Path("bench.toml")
DEFAULT = DEFAULT_CONFIG.read_text(encoding="utf-8")
SMALL = '[workloads]\nnet = "net.tflite"  # mine\n'


def rule(relative: float, evidence: str = "measured", cells: str = "net-*") -> ToleranceRule:
    return ToleranceRule(
        metrics=(MetricName.NPU_CYCLES,), cells=(cells,), relative=relative, evidence=evidence
    )


def frozen(name: str, digit: str = "a") -> FrozenModel:
    return FrozenModel(model=Path("frozen") / name, sha256=digit * 64, recipe="0123456789ab")


@pytest.mark.parametrize("text", [DEFAULT, SMALL, SMALL.rstrip("\n"), "# nothing\n" + SMALL])
def test_new_tables_follow_the_file_which_stays_byte_for_byte(text: str) -> None:
    changed = with_tolerances(text, [rule(0.02)], PATH)
    assert changed.startswith(text)
    assert parse_config(changed, PATH).baselines.tolerances == (rule(0.02),)


def test_a_new_measurement_takes_the_place_of_the_old_one() -> None:
    hand = '\n[[baselines.tolerances]]\nmetrics = ["macs"]\nabsolute = 5 # by hand\n# the end\n'
    once = with_tolerances(SMALL, [rule(0.02), rule(0.03, cells="other-*")], PATH) + hand
    twice = with_tolerances(once, [rule(0.01, "measured again"), rule(0.5, cells="new-*")], PATH)
    found = parse_config(twice, PATH).baselines.tolerances
    assert [(r.cells, r.relative) for r in found] == [
        (("net-*",), 0.01),
        (("other-*",), 0.03),
        (None, 0.0),
        (("new-*",), 0.5),
    ]
    assert found[0].evidence == "measured again"
    for kept in ("# mine", "# by hand", "# the end"):
        assert kept in twice


def test_a_tolerance_that_nobody_measured_is_the_users_and_stays() -> None:
    hand = SMALL + tolerances_toml([rule(0.2, evidence="")])
    changed = with_tolerances(hand, [rule(0.02)], PATH)
    assert changed.startswith(hand)
    # The last decides.
    widths, _ = parse_config(changed, PATH).baselines.widths(MetricName.NPU_CYCLES, "net-x")
    assert widths.relative == 0.02


@pytest.mark.parametrize(
    "text",
    [
        'baselines = { tolerances = [{ absolute = 1 }] } # all\n[workloads]\nnet = "net.tflite"\n',
        'baselines.tolerances = [{ absolute = 1 }] # all\n[workloads]\nnet = "net.tflite"\n',
        "[baselines]\ntolerances = [ # all\n  { absolute = 1 },\n]\n" + SMALL,
    ],
)
def test_an_array_of_tolerances_gets_more(text: str) -> None:
    changed = with_tolerances(text, [rule(0.02)], PATH)
    assert "# all" in changed
    assert [r.relative for r in parse_config(changed, PATH).baselines.tolerances] == [0.0, 0.02]


def test_what_does_not_fit_is_refused_with_the_lines_to_write() -> None:
    text = 'baselines = { improvement = "fail" }\n' + SMALL
    with pytest.raises(ConfigError, match="written in a way that this change") as refused:
        with_tolerances(text, [rule(0.02)], PATH)
    assert "relative = 0.02" in refused.value.cure


@pytest.mark.parametrize("begin", ["", '[baselines]\ndirectory = "x"\n'])
@pytest.mark.parametrize("cells", ["net-*", "other-*", "new-*"])
def test_tolerances_that_are_scattered_over_the_file_stay_where_they_are(
    begin: str, cells: str
) -> None:
    first = tolerances_toml([rule(0.1)])
    second = tolerances_toml([rule(0.2, cells="other-*")])
    text = f"{begin}{first}{SMALL}[reference]\nsamples = 3\n{second}"
    changed = with_tolerances(text, [rule(0.5, cells=cells)], PATH)
    lines = [line for line in changed.splitlines() if line]
    kept = [line for line in text.splitlines() if line in lines]
    assert len(kept) >= len(text.splitlines()) - 1
    found = {r.cells: r.relative for r in parse_config(changed, PATH).baselines.tolerances}
    assert found == {("net-*",): 0.1, ("other-*",): 0.2} | {(cells,): 0.5}


def test_frozen_variants_get_a_table_and_keep_it() -> None:
    first = with_frozen(DEFAULT, "mnist_fc", {"pruned_clustered": frozen("a.tflite")}, PATH)
    assert first.startswith(DEFAULT)
    again = with_frozen(
        first + "# the end\n",
        "mnist_fc",
        {"pruned_clustered": frozen("a.tflite", "b"), "clustered": frozen("c.tflite")},
        PATH,
    )
    assert "# the end" in again
    workload = parse_config(again, PATH).workloads["mnist_fc"]
    found = getattr(workload, "frozen")  # noqa: B009 (only trained workloads have it)
    assert {name: one.sha256[0] for name, one in found.items()} == {
        "pruned_clustered": "b",
        "clustered": "a",
    }


def test_variants_of_any_spelling_can_be_frozen() -> None:
    inline = (
        '[workloads.net]\nrecipe = "mnist_fc"\n'
        'variants = { base = { method = "train", epochs = 1 } }  # small\n'
    )
    changed = with_frozen(inline, "net", {"base": frozen("b.tflite")}, PATH)
    assert changed.startswith(inline)
    dotted = inline + f'frozen.base = {{ model = "x.tflite", sha256 = "{"0" * 64}" }}\n'
    changed = with_frozen(dotted, "net", {"base": frozen("b.tflite")}, PATH)
    assert "# small" in changed
    assert f'sha256 = "{"a" * 64}"' in changed


@given(evidence=st.text(min_size=1, max_size=200))
def test_whatever_the_evidence_says_reads_back_or_is_refused(evidence: str) -> None:
    try:
        changed = with_tolerances(SMALL, [rule(0.02, evidence)], PATH)
    except ConfigError:
        return
    assert parse_config(changed, PATH).baselines.tolerances[0].evidence == evidence


def test_a_configuration_behind_a_link_stays_behind_it(tmp_path: Path) -> None:
    real = tmp_path / "real.toml"
    real.write_text(SMALL, encoding="utf-8")
    link = tmp_path / "bench.toml"
    link.symlink_to(real)
    replace_config(link, SMALL + "# more\n")
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8").endswith("# more\n")
