"""From what figures come: the first stage in which two cells differ is the cause."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.records.provenance import Provenance, Stage, first_cause, provenance_of
from bench.records.record import Record
from tests.support.records import dense_layer_record


@pytest.fixture(scope="module")
def record() -> Record:
    return dense_layer_record("base")


def changed(record: Record, part: str, **update: object) -> Record:
    return record.model_copy(update={part: getattr(record, part).model_copy(update=update)})


def told(before: Record, after: Record) -> str:
    return str(first_cause(provenance_of(before), provenance_of(after)))


def test_a_cell_and_itself_have_no_cause(record: Record) -> None:
    assert first_cause(provenance_of(record), provenance_of(record)) is None


def test_each_stage_is_named_with_what_changed_there(record: Record) -> None:
    trained = changed(
        record,
        "model",
        origin="trained",
        provenance={"pruned.final_sparsity": "0.8", "quantise.per_channel_dense": "false"},
    )
    sparser = changed(
        trained, "model", provenance={**trained.model.provenance, "pruned.final_sparsity": "0.7"}
    )
    assert told(trained, sparser) == "training: pruned.final sparsity 0.8 -> 0.7"
    channels = changed(
        trained,
        "model",
        provenance={**trained.model.provenance, "quantise.per_channel_dense": "true"},
        sha256="9" * 64,
    )
    assert told(trained, channels).startswith("quantisation: per channel dense false -> true")
    data = changed(record, "data", sha256="f" * 64)
    assert told(record, data) == "data: test sha256 000000000000 -> ffffffffffff"
    vela = changed(record, "compilation", vela_version="5.0.0", sha256="3" * 64)
    assert told(vela, record).startswith(
        f"Vela: version 5.0.0 -> {record.compilation.vela_version}"
    )
    command = (*record.compilation.command, "--recursion-limit", "2000")
    option = changed(record, "compilation", command=command)
    assert told(record, option) == "Vela: options none -> --recursion-limit 2000"
    slower = record.model_copy(update={"timing_sha256": "a" * 64})
    other = record.model_copy(update={"timing_sha256": "b" * 64})
    assert told(slower, other) == f"timing profile: sha256 {'a' * 12} -> {'b' * 12}"


def test_another_model_file_is_the_cause_of_all_that_follows(record: Record) -> None:
    model = changed(record, "model", sha256="7" * 64)
    compiled = changed(model, "compilation", sha256="8" * 64, vela_version="6.0.0")
    cause = first_cause(provenance_of(record), provenance_of(compiled))
    assert cause is not None
    assert cause.stage is Stage.TRAINING


def test_what_an_older_record_did_not_know_is_no_cause_beside_a_real_one(record: Record) -> None:
    newer = record.model_copy(update={"code_sha256": "c" * 64, "timing_sha256": "d" * 64})
    faster = changed(newer, "measurement", provenance={"firmware": "e" * 64})
    older = changed(record, "measurement", provenance={"firmware": "f" * 64})
    cause = first_cause(provenance_of(older), provenance_of(faster))
    assert cause is not None
    assert cause.stage is Stage.FIRMWARE
    assert told(record, newer) == f"timing profile: sha256 not known -> {'d' * 12}"


FACTS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["1", "2"]))


@st.composite
def provenances(draw: st.DrawFn) -> Provenance:
    return Provenance(**{stage.value: draw(FACTS) for stage in Stage})


def facts(provenance: Provenance) -> Mapping[Stage, Mapping[str, str]]:
    return {stage: provenance.facts(stage) for stage in Stage}


@given(provenances(), provenances())
def test_the_cause_is_the_same_from_both_ends(before: Provenance, after: Provenance) -> None:
    there, back = first_cause(before, after), first_cause(after, before)
    assert (there is None) == (back is None) == (facts(before) == facts(after))
    if there is not None and back is not None:
        assert there.stage is back.stage
        assert {name: (b, a) for name, (a, b) in there.changes.items()} == back.changes
