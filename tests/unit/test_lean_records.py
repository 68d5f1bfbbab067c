"""Lean records are the records, in less memory."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable

import pytest

from bench.core.plain_json import read_plain
from bench.plan.metrics import MetricName
from bench.records.layers import layer_summaries, wait_share
from bench.records.lean import lean
from bench.records.metric_values import metric_value
from bench.records.record import Record
from bench.records.run_directory import RunDirectory
from bench.report.view.causes import layer_causes
from tests.support.report_runs import mixed_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return mixed_run(tmp_path_factory.mktemp("runs") / "run")


def test_they_are_the_same_in_every_figure_and_layer(run: RunDirectory) -> None:
    whole, made = run.planned_records().found, run.planned_records(lean).found
    assert made == whole
    assert any(record.measurement.layers for record in whole)
    for one, other in zip(whole, made, strict=True):
        for mine, layers in (
            (one.measurement.layers, other.measurement.layers),
            (one.compilation.report.layers, other.compilation.report.layers),
        ):
            assert len(layers) == len(mine)
            assert bool(layers) == bool(mine)
            assert list(layers) == list(mine)
            assert layers == mine
            assert hash(layers) == hash(mine)
            assert list(reversed(layers)) == list(reversed(mine))
            assert list(layers[1:]) == list(mine[1:])
            assert [each.model_dump() for each in layers] == [each.model_dump() for each in mine]
            if mine:
                assert layers[-1] == mine[-1]
        assert wait_share(other) == wait_share(one)
        assert layer_summaries(other) == layer_summaries(one)
        assert layer_causes(other) == layer_causes(one)
        for metric in MetricName:
            assert metric_value(other, metric) == metric_value(one, metric)


def test_a_lean_record_is_never_written_without_its_layers(run: RunDirectory) -> None:
    record = run.planned_records(lean).found[0]
    with pytest.raises(Exception, match=r"PackedModels|serializ"):
        record.model_dump_json()


def test_a_copy_has_names_of_its_own(run: RunDirectory) -> None:
    one, other, *_ = run.planned_records(lean).found
    before = set(other.model_fields_set)
    copy = one.model_copy(update={"verdicts": ()})
    assert copy.model_fields_set is not one.model_fields_set
    assert other.model_fields_set == before == set(Record.model_fields)


def test_they_take_less_than_half_of_the_memory(run: RunDirectory) -> None:
    document = run.planned_records().found[0].model_dump(mode="json")
    report, measured = document["compilation"]["report"], document["measurement"]
    # As many as a small network has.
    report["layers"], measured["layers"] = 30 * report["layers"][:1], 30 * measured["layers"][:1]
    content, many = json.dumps(document).encode("utf-8"), 50

    def read() -> Record:
        record = read_plain(content, Record)
        assert record is not None
        return record

    read()

    def bytes_of(keep: Callable[[Record], Record]) -> int:
        gc.collect()
        tracemalloc.start()
        try:
            kept = [keep(read()) for _ in range(many)]
            gc.collect()
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(kept) == many
        return size

    assert bytes_of(lean) < 0.5 * bytes_of(lambda record: record)
